"""What the cases have in common: the next call that goes wrong, a job as it is kept, and what is wrong at rest."""

import itertools
import json
from typing import Any

from app.jobs.job import Job
from tests.faults import invariants
from tests.faults.callers import sqs_record
from tests.faults.cloud import MemoryCloud, records
from tests.faults.points import Fault
from tests.faults.scenarios import answers
from tests.faults.world import World


def memory(world: World) -> MemoryCloud:
    assert isinstance(world.cloud, MemoryCloud)
    return world.cloud


def job_of(world: World, job_id: str) -> Job:
    return next(record for record in records(world.cloud.items()) if isinstance(record, Job) and record.id == job_id)


def delivered(job_id: str) -> dict[str, Any]:
    """A message of a job, in a delivery; its id is the job's."""
    return sqs_record({"MessageId": job_id, "ReceiptHandle": "receipt", "Body": json.dumps({"v": 1, "job": job_id})})


def fail_at(world: World, operation: str, mode: str) -> None:
    """Let the next call of an operation go wrong."""
    seen = itertools.count()
    send = world.points.send

    def counted(service: str, name: str, arguments: dict[str, Any]) -> Any:
        if name == operation and not next(seen):
            world.points._faults[world.points.count + 1] = Fault(world.points.count + 1, mode)
        return send(service, name, arguments)

    world.points.send = counted  # type: ignore[method-assign]


def at_rest(world: World) -> list[str]:
    """What is wrong once nothing is left to do, results included."""
    assert world.settle()
    for ask in world.accepted:
        world.read(ask)
    return [*invariants.settled(world), *invariants.answered(world, answers())]
