"""N1 to N7: what holds after everything has come to rest, whatever went wrong. Each violation is told in a sentence."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator

from app.jobs.delivery import Delivery
from app.jobs.job import FINISHED, Job
from app.jobs.records import from_document
from app.jobs.reservation import Reservation
from tests.faults.callers import Answer, Row
from tests.faults.cloud import records
from tests.faults.receiver import Arrival
from tests.faults.world import World

# Header fields that belong to one exchange and not to the answer.
_OF_ONE_EXCHANGE = {"x-request-id", "server-timing", "date", "cache-control", "x-model-cold-start", "idempotency-replayed"}


def settled(world: World) -> list[str]:
    """What is wrong once nothing is left to do."""
    return [*_n1(world), *_n3(world), *_n4(world), *_n5_owned(world), *_n7(world)]


def answered(world: World, oracle: dict[Row, Answer]) -> list[str]:
    """What is wrong with what callers have read since: their own results (N2), and what is another's (N6).

    :param oracle: to each row the synchronous answer.
    """
    return [*_n2(world, oracle), *world.leaks]


def aged(world: World) -> list[str]:
    """What is wrong after everything's time has passed: a record or an object that is still there (N5)."""
    left = [f"N5: the {item['pk']['S']} is still there" for item in world.cloud.items()]
    return left + [f"N5: the object {key} is still there" for key in world.cloud.objects()]


def _jobs(world: World) -> dict[str, Job]:
    return {record.id: record for record in records(world.cloud.items()) if isinstance(record, Job)}


def _n1(world: World) -> Iterator[str]:
    kept = _jobs(world)
    for ask, ids in world.accepted.items():
        if len(set(ids)) != 1:
            yield f"N1: {ask.owner} was given {len(set(ids))} jobs under one key"
        for job_id in set(ids):
            if job_id not in kept:
                yield f"N1: job {job_id} was accepted and is lost"
            elif not kept[job_id].is_finished:
                yield f"N1: job {job_id} was accepted and is {kept[job_id].status} for ever"


def _n2(world: World, oracle: dict[Row, Answer]) -> Iterator[str]:
    kept = _jobs(world)
    for ask, answer in world.found.items():
        job = kept.get(world.accepted[ask][0])
        if job is None or job.status != "succeeded":
            continue
        wanted = oracle[ask.row]
        if (answer.status, answer.body) != (200, wanted.body):
            yield f"N2: the result of {job.id} is answered {answer.status} and is not the synchronous answer"
        elif _lasting(answer) != _lasting(wanted):
            yield f"N2: the header fields of the result of {job.id} differ: {_lasting(answer).items() ^ _lasting(wanted).items()}"


def _lasting(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in _OF_ONE_EXCHANGE}


def _n3(world: World) -> Iterator[str]:
    ends: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for item in world.cloud.writes:
        if item["kind"]["S"] == "job":
            job = from_document(Job, item["document"]["B"])
            if job.is_finished:
                ends[job.id].add((job.status, job.result.key if job.result else ""))
            elif job.id in ends:
                yield f"N3: job {job.id} ended and was {job.status} again"
    for job_id, found in ends.items():
        if len(found) > 1:
            yield f"N3: job {job_id} has ended as {sorted(found)}"
    told: dict[str, str] = {}
    for job_id, status in world.seen:
        if job_id in told and told[job_id] != status:
            yield f"N3: the caller of job {job_id} saw {told[job_id]} and then {status}"
        elif status in FINISHED:
            told[job_id] = status
    for job_id, status in told.items():
        if status not in {end for end, _ in ends[job_id]}:
            yield f"N3: the caller of job {job_id} saw {status}, which was not its end"
    for job_id, answer in world.cancelled.items():
        if answer == 200 and {status for status, _ in ends[job_id]} != {"cancelled"}:
            yield f"N3: job {job_id} was cancelled and is {ends[job_id]}"


def _n4(world: World) -> Iterator[str]:
    kept = _jobs(world)
    for arrival in world.receiver.arrivals:
        if arrival.kept not in FINISHED or arrival.kept != arrival.said:
            yield f"N4: a webhook of {arrival.job_id} said {arrival.said} when {arrival.kept or 'nothing'} was kept"
    of_job: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in world.receiver.arrivals:
        of_job[arrival.job_id].append(arrival)
    for job in kept.values():
        mine = of_job[job.id]
        if job.webhook and not any(arrival.status == 204 for arrival in mine):
            yield f"N4: the receiver of {job.id} was told nothing"
        if len({(arrival.webhook_id, arrival.body) for arrival in mine}) > 1:
            yield f"N4: the receiver of {job.id} was told under several ids, or several things"
    for record in records(world.cloud.items()):
        if isinstance(record, Delivery) and record.status != "delivered":
            yield f"N4: the webhook {record.id} is {record.status} for ever"


def _n5_owned(world: World) -> Iterator[str]:
    """A record never names bytes that are not there; bytes of nobody are seen to when they age."""
    keys = set(world.cloud.objects())
    for record in records(world.cloud.items()):
        named = [record.payload, record.result] if isinstance(record, Job) else [record.answer] if isinstance(record, Reservation) else []
        for payload in named:
            if payload is not None and payload.key not in keys:
                yield f"N5: {payload.key} is kept of {record.id} and is not there"


def _n7(world: World) -> Iterator[str]:
    kept = _jobs(world)
    accepted = {job_id for ids in world.accepted.values() for job_id in ids}
    counts = Counter(job.status for job in kept.values())
    if len(accepted) != sum(counts[status] for status in FINISHED):
        yield f"N7: {len(accepted)} were accepted, and there are {dict(counts)}"
    for queue in ("jobs", "webhooks"):
        if waiting := world.cloud.waiting(getattr(world.cloud.names, queue)):
            yield f"N7: {waiting} messages are in the queue of {queue}"
    for body in world.cloud.bodies(world.cloud.names.jobs_dead):
        job = kept.get(json.loads(body)["job"])
        if job is None or not job.is_finished:
            yield "N7: a dead letter names a job that has not ended"
