"""The states of a job: what may follow what, and when."""

import itertools

import pytest

from app.jobs import job as jobs
from app.jobs.job import FINISHED, Policy, Status
from tests.jobs.examples import NOW, RESULT, queued

POLICY = Policy(max_attempts=3, max_age_s=1000, retention_s=500, stranded_s=300)
RUNNING = queued(status="running", attempt=1, lease_until=NOW + 60)
ENDED = [queued(status=status, finished=NOW) for status in sorted(FINISHED)]
STEPS = {
    "claim": lambda job: jobs.claim(job, NOW, 60),
    "put_back": lambda job: jobs.put_back(job, NOW, POLICY),
    "send_again": lambda job: jobs.send_again(job, NOW, POLICY),
    "succeed": lambda job: jobs.succeed(job, RESULT, NOW, POLICY),
    "fail": lambda job: jobs.fail(job, {"code": "x"}, NOW, POLICY),
    "cancel": lambda job: jobs.cancel(job, NOW, POLICY),
    "expire": lambda job: jobs.expire(job, NOW + 86_400, POLICY),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("job", ENDED, ids=lambda job: job.status)
def test_an_end_is_an_end(job: jobs.Job, step: str) -> None:
    """What has ended never changes again."""
    assert STEPS[step](job) is None


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ("claim", "queued", "running"),
        ("put_back", "running", "queued"),
        ("send_again", "queued", "queued"),
        ("succeed", "running", "succeeded"),
        ("fail", "queued", "failed"),
        ("fail", "running", "failed"),
        ("cancel", "queued", "cancelled"),
        ("cancel", "running", "cancelled"),
        ("expire", "queued", "expired"),
        ("expire", "running", "expired"),
        ("claim", "running", None),
        ("put_back", "queued", None),
        ("send_again", "running", None),
        ("succeed", "queued", None),
    ],
)
def test_each_step(step: str, before: Status, after: Status | None) -> None:
    """The steps of the diagram are taken, and no other: a job whose lease runs is its worker's."""
    found = STEPS[step](RUNNING if before == "running" else queued())

    assert after == (found and found.status)


def test_a_claim_counts() -> None:
    """A claim is one attempt more, with a lease, after which the sweeper looks; the lease's end lets another worker in."""
    first = jobs.claim(queued(), NOW, 60)
    assert first is not None
    assert (1, NOW + 60, NOW + 60) == (first.attempt, first.lease_until, first.due)
    assert jobs.claim(first, NOW + 59, 60) is None
    second = jobs.claim(first, NOW + 60, 60)

    assert second is not None
    assert (2, NOW + 120) == (second.attempt, second.lease_until)


@pytest.mark.parametrize("step", ["claim", "put_back", "send_again"])
def test_attempts_come_to_an_end(step: str) -> None:
    """After the last attempt a job is neither claimed, nor put back, nor sent again."""
    for job in (queued(attempt=3), RUNNING._replace(attempt=3, lease_until=NOW - 1)):
        assert STEPS[step](job) is None


def test_too_old() -> None:
    """A job is expired from the very moment on, and not claimed from then on."""
    job = queued()

    assert (None, "expired") == (jobs.expire(job, job.expires - 0.001, POLICY), jobs.expire(job, job.expires, POLICY).status)  # type: ignore[union-attr]
    assert jobs.claim(job, job.expires, 60) is None
    assert jobs.claim(job, job.expires - 1, 60) is not None


@pytest.mark.parametrize("step", ["succeed", "fail", "cancel"])
def test_what_has_ended_is_kept_for_a_while(step: str) -> None:
    """From its end a job is kept for the retention, then it is gone; its lease is over."""
    ended = STEPS[step](RUNNING._replace(webhook=None))
    assert ended is not None

    assert (NOW, NOW + 500, NOW + 500, 0.0) == (ended.finished, ended.expires, ended.due, ended.lease_until)
    assert [False, True] == [jobs.is_gone(ended, now) for now in (NOW + 499.9, NOW + 500)]
    assert not jobs.is_gone(queued(), NOW + 1e9)


@pytest.mark.parametrize("step", ["succeed", "fail", "cancel"])
def test_what_a_webhook_tells_of_outlives_its_attempts(step: str) -> None:
    """A job with a webhook is kept as long as the webhook may be on its way, or for the retention where that is longer."""
    ended = STEPS[step](RUNNING)
    assert ended is not None

    assert ended.expires - NOW > 79.4 * 3600
    assert NOW + 1e6 == jobs.cancel(RUNNING, NOW, POLICY._replace(retention_s=1e6)).expires  # type: ignore[union-attr]


def test_the_sweeper_is_patient() -> None:
    """Each time that the sweeper sends a job again it waits twice as long for the next, up to an hour."""
    job, pauses = queued(), []
    for _ in range(6):
        again = jobs.send_again(job, NOW, POLICY)
        assert again is not None
        pauses.append(again.due - NOW)
        job = again

    assert [300, 600, 1200, 2400, 3600, 3600] == pauses


def test_ids() -> None:
    """Ids have 128 bits in lower-case hexadecimal, and none comes twice."""
    ids = [jobs.new_id() for _ in range(1000)]

    assert 1000 == len(set(ids))
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in ids)


def test_no_step_changes_what_was_asked() -> None:
    """Whatever two steps follow each other, the job stays its caller's, and what it asks stays what it was."""
    for first, second in itertools.product(STEPS.values(), repeat=2):
        job = queued()
        after = first(job) or job
        after = second(after) or after

        assert (job.id, job.owner, job.request, job.payload) == (after.id, after.owner, after.request, after.payload)
