"""What every store of jobs does, asked of each of them: records."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.jobs.backend import Change, Record, RecordType, mark_of
from app.jobs.delivery import Delivery
from app.jobs.job import FINISHED, Job, cancel, claim, succeed
from app.jobs.reservation import Reservation
from tests.jobs.examples import EVERY_KIND, NOW, POLICY, RESULT, delivery, queued, reservation
from tests.jobs.stores import Stores


def created(stores: Stores, record: RecordType) -> RecordType:
    """A new record, as it is kept."""
    assert stores.backend.write([Change(None, record)])
    return current(stores, record)


def current(stores: Stores, record: RecordType) -> RecordType:
    kept = stores.backend.read(type(record), record.id)
    assert kept
    return kept


def running(stores: Stores, lease_s: float = 60) -> Job:
    job = created(stores, queued())
    claimed = claim(job, NOW, lease_s)
    assert stores.backend.write([Change(job, claimed)])
    return current(stores, job)


@pytest.mark.parametrize("make", list(EVERY_KIND.values()), ids=list(EVERY_KIND))
def test_a_record_is_created_replaced_and_deleted(stores: Stores, make) -> None:
    """A record is what the last write left, under one revision more each time, and gone after it was deleted."""
    backend, record = stores.backend, make()
    kind = type(record)
    assert backend.read(kind, record.id) is None

    first = created(stores, record)
    assert record._replace(revision=record.revision + 1) == first
    assert backend.write([Change(first, first._replace(due=NOW + 7))])
    second = current(stores, record)
    assert record._replace(due=NOW + 7, revision=record.revision + 2) == second
    assert backend.write([Change(second, None)])
    assert backend.read(kind, record.id) is None


def test_kinds_are_apart(stores: Stores) -> None:
    """A job, a webhook and a key of the same id are three records."""
    records: list[Record] = [queued(id="same"), delivery(id="same"), reservation(id="same")]
    assert stores.backend.write([Change(None, record) for record in records])

    assert [record._replace(revision=record.revision + 1) for record in records] == [current(stores, record) for record in records]


def test_a_stale_revision_is_refused(stores: Stores) -> None:
    """Who holds an older revision than the one that is kept can neither replace nor delete it, and changes nothing."""
    stale = created(stores, queued())
    assert stores.backend.write([Change(stale, stale._replace(status="running"))])
    kept = current(stores, stale)

    assert not stores.backend.write([Change(stale, stale._replace(status="cancelled"))])
    assert not stores.backend.write([Change(stale, None)])
    assert kept == current(stores, stale)


def test_what_is_not_there_is_neither_replaced_nor_deleted(stores: Stores) -> None:
    """A change of a record that was deleted is refused, and brings nothing back."""
    job = created(stores, queued())
    assert stores.backend.write([Change(job, None)])

    assert not stores.backend.write([Change(job, job._replace(status="running"))])
    assert not stores.backend.write([Change(job, None)])
    assert stores.backend.read(Job, job.id) is None


def test_a_new_record_takes_nobody_elses_place(stores: Stores) -> None:
    """A record that is to be new is refused where there is one, whatever its revision."""
    job = created(stores, queued())

    assert not stores.backend.write([Change(None, job._replace(owner="another"))])
    assert not stores.backend.write([Change(None, job._replace(owner="another", revision=0))])
    assert job == current(stores, job)


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_changes_are_made_together(stores: Stores, refused: int) -> None:
    """One change that is refused, wherever it stands, undoes the others: what was to be created, replaced and deleted is as before."""
    job, key = created(stores, queued()), created(stores, reservation())
    told = delivery()
    changes = [Change(job, job._replace(status="cancelled")), Change(None, told), Change(key, None)]
    spoilt = created(stores, queued())
    changes.insert(refused, Change(spoilt._replace(revision=9), None))
    assert not stores.backend.write(changes)
    assert (job, key, spoilt) == (current(stores, job), current(stores, key), current(stores, spoilt))
    assert stores.backend.read(Delivery, told.id) is None

    assert stores.backend.write([change for change in changes if change.old is None or change.old.id != spoilt.id])
    assert "cancelled" == current(stores, job).status
    assert told == current(stores, told)._replace(revision=0)
    assert stores.backend.read(Reservation, key.id) is None


def test_one_claim_wins(stores: Stores) -> None:
    """Of two workers that claim a job at the same moment with the same words, one gets it (F-35)."""
    for _ in range(30):
        job = created(stores, queued())
        claimed = claim(job, NOW, 60)
        start = threading.Barrier(2)

        def race(change: Change, start: threading.Barrier = start) -> bool:
            start.wait(10)
            return stores.backend.write([change])

        with ThreadPoolExecutor(2) as workers:
            won = sorted(workers.map(race, [Change(job, claimed)] * 2))

        assert [False, True] == won
        assert (1, 2) == (current(stores, job).attempt, current(stores, job).revision)


def test_one_of_many_takes_a_key(stores: Stores) -> None:
    """Of eight callers that reserve the same key at the same moment, one has it (F-49)."""
    key = reservation()
    mine = [key._replace(job_id=str(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as callers:
        won = list(callers.map(lambda record: stores.backend.write([Change(None, record)]), mine))

    assert 1 == won.count(True)
    assert str(won.index(True)) == current(stores, key).job_id


@pytest.mark.parametrize("order", list(itertools.permutations(["cancel", "claim", "finish"])), ids=" ".join)
def test_a_job_ends_once(stores: Stores, order: tuple[str, ...]) -> None:
    """Whatever the order of a caller who cancels, a worker that claims and one that comes back, one end holds (F-41, F-47)."""
    # Its first worker is late: the lease is over, and another may claim.
    held = running(stores, lease_s=0)
    ends = []
    for act in order:
        job = current(stores, held)
        change = {
            "cancel": lambda job=job: (job, cancel(job, NOW, POLICY)),
            "claim": lambda job=job: (job, claim(job, NOW, 60)),
            "finish": lambda: (held, succeed(held, RESULT, NOW, POLICY)),
        }[act]()
        made = change[1] is not None and stores.backend.write([Change(*change)])
        after = current(stores, held)
        assert made == (after != job)
        if after.is_finished:
            ends.append(after)

    assert 1 == len(set(map(repr, ends)))
    assert ends[0] == current(stores, held)
    expected = "succeeded" if order.index("finish") < min(order.index("cancel"), order.index("claim")) else "cancelled"
    assert expected == ends[0].status


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_the_first_of_three_who_read_the_same_wins(stores: Stores, order: tuple[int, ...]) -> None:
    """Of a cancel, a claim and an end that were all decided on one reading, only the first is made."""
    held = running(stores, lease_s=0)
    decided = [cancel(held, NOW, POLICY), claim(held, NOW, 60), succeed(held, RESULT, NOW, POLICY)]

    assert [True, False, False] == [stores.backend.write([Change(held, decided[number])]) for number in order]
    first = decided[order[0]]
    assert first
    assert first._replace(revision=held.revision + 1) == current(stores, held)


def test_ends_race(stores: Stores) -> None:
    """A caller who cancels and a worker that finishes at the same moment leave one end, and both know whose."""
    for _ in range(20):
        held = running(stores)
        decided = [cancel(held, NOW, POLICY), succeed(held, RESULT, NOW, POLICY)]
        with ThreadPoolExecutor(2) as both:
            won = list(both.map(lambda new, held=held: stores.backend.write([Change(held, new)]), decided))

        assert [False, True] == sorted(won)
        end = current(stores, held)
        assert ("cancelled" if won[0] else "succeeded") == end.status
        assert end.status in FINISHED


def test_a_callers_jobs_come_in_pages(stores: Stores) -> None:
    """A caller's jobs come newest first, those of one moment in one order, and jobs that are new between two pages move none."""
    jobs = [created(stores, queued(owner="me", created=NOW + min(number, 4))) for number in range(7)]
    created(stores, queued(owner="you", created=NOW + 2.5))
    newest_first = sorted(jobs, key=mark_of, reverse=True)
    assert newest_first == stores.backend.owned("me", 100)

    pages, before = [], ""
    for _ in range(4):
        pages.append(stores.backend.owned("me", 3, before))
        before = mark_of(pages[-1][-1]) if pages[-1] else before
        created(stores, queued(owner="me", created=NOW + 100))
    assert [newest_first[:3], newest_first[3:6], newest_first[6:], []] == pages


def test_a_list_shows_jobs_as_they_are(stores: Stores) -> None:
    """A list has each job as the last write left it, and none that was deleted."""
    kept, gone = created(stores, queued()), created(stores, queued())
    assert stores.backend.write([Change(kept, cancel(kept, NOW, POLICY)), Change(gone, None)])

    assert [current(stores, kept)] == stores.backend.owned("owner", 10)


@pytest.mark.parametrize("owner", ["", "é漢😀", "a#b/c", "#", "/", "%", "a\nb\x00", " ", "x" * 1024], ids=ascii)
def test_odd_owners(stores: Stores, owner: str) -> None:
    """An owner may be any text; each has its own jobs and nobody else's."""
    mine = created(stores, queued(owner=owner))
    for other in (f"{owner}x", f"{owner}#", owner.upper() + "?", "job"):
        created(stores, queued(owner=other))

    assert [mine] == stores.backend.owned(owner, 10)


def test_due_records_come_in_their_order(stores: Stores) -> None:
    """Records of all kinds come when their time has come and not before, those that wait the longest first, at most as many as asked."""
    made = [created(stores, make(due=NOW - wait)) for wait, make in [(3, reservation), (5, queued), (0, queued), (4, delivery)]]
    late = sorted(made, key=lambda record: record.due)
    created(stores, queued(due=NOW + 0.5))

    assert late == stores.backend.due(NOW, 100)
    assert late[:2] == stores.backend.due(NOW, 2)
    assert [] == stores.backend.due(NOW - 6, 100)


def test_what_was_done_is_not_due(stores: Stores) -> None:
    """A record that was put off or deleted is no longer due."""
    off, gone = created(stores, queued(due=NOW)), created(stores, delivery(due=NOW))
    assert stores.backend.write([Change(off, off._replace(due=NOW + 60)), Change(gone, None)])

    assert [] == stores.backend.due(NOW, 100)
    assert [off.id] == [record.id for record in stores.backend.due(NOW + 60, 100)]


def test_a_deleted_record_is_nowhere(stores: Stores) -> None:
    """After a record was deleted no query finds it, and its id is free."""
    job = created(stores, queued())
    assert stores.backend.write([Change(job, None)])
    assert (None, [], []) == (stores.backend.read(Job, job.id), stores.backend.owned(job.owner, 10), stores.backend.due(NOW * 2, 10))

    assert stores.backend.write([Change(None, job._replace(revision=0))])


def test_large_records(stores: Stores) -> None:
    """A record of 300 KB is kept, listed, found due and replaced like any other."""
    job = created(stores, queued(request={"accept": "x" * 300_000}))
    assert stores.backend.write([Change(job, job._replace(status="running"))])

    kept = current(stores, job)
    assert (300_000, "running") == (len(kept.request["accept"]), kept.status)
    assert [kept] == stores.backend.owned("owner", 1)
    assert [kept] == stores.backend.due(NOW + 300, 1)


def test_many_changes_at_once(stores: Stores) -> None:
    """Twenty-five records change in one write."""
    jobs = [queued() for _ in range(25)]
    assert stores.backend.write([Change(None, job) for job in jobs])

    assert {job.id for job in jobs} == {job.id for job in stores.backend.owned("owner", 100)}


def test_no_changes_are_made_at_once(stores: Stores) -> None:
    """Nothing to change is changed."""
    assert stores.backend.write([])
