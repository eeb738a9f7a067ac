"""What happens in a run where nothing goes wrong, and what is expected of it in the end."""

from collections.abc import Callable, Sequence
from functools import cache

import pytest

from app.storage import aws_clients
from tests.clock import Clock
from tests.faults import invariants
from tests.faults.callers import Answer, Ask, GaveUp, Row
from tests.faults.cloud import MemoryCloud, records
from tests.faults.points import Fault
from tests.faults.world import HOUR_S, World

# The same key at two callers, who ask for different things: one receiver is busy at first.
ANN = Ask("ann", "monday", (5.1, 3.5, 1.4, 0.2), "/hooks/busy")
BOB = Ask("bob", "monday", (6.3, 3.3, 6.0, 2.5), "/hooks")
ASKS = (ANN, BOB)


def answered(world: World) -> set[str]:
    """Two jobs in one delivery, their webhooks, their results; one is asked for twice."""
    world.submit(ANN)
    world.submit(BOB)
    world.submit(ANN)
    world.poll("jobs")
    world.poll("webhooks")
    world.clock.advance(10)
    world.poll("webhooks")
    return {"succeeded"}


def uploaded(world: World) -> set[str]:
    """A job whose body was uploaded before."""
    ask = BOB._replace(upload="0123456789abcdef" * 2)
    world.upload(ask)
    world.submit(ask)
    world.poll("jobs")
    world.poll("webhooks")
    return {"succeeded"}


def cancelled(world: World) -> set[str]:
    """A job that is cancelled before a worker hears of it."""
    world.submit(BOB)
    world.cancel(BOB)
    world.poll("jobs")
    world.poll("webhooks")
    # A caller whose first request was slow finds it answered.
    return {"cancelled", "succeeded"}


def expired(world: World) -> set[str]:
    """A job that no worker hears of until its time is over."""
    _wait(world, 24.5 * HOUR_S)
    world.sweep()
    world.poll("jobs")
    world.poll("webhooks")
    return {"expired", "succeeded"}


def late(world: World) -> set[str]:
    """A job whose worker begins ten minutes before its time is over."""
    _wait(world, 24 * HOUR_S - 600)
    world.poll("jobs")
    world.poll("webhooks")
    return {"succeeded", "expired"}


def _wait(world: World, seconds: float) -> None:
    """Submit a job and wait, unless it was answered in the hour that a slow request took."""
    if world.status_of(world.submit(BOB)) == "queued":
        world.clock.advance(seconds)


def repeated(world: World) -> set[str]:
    """A synchronous answer that is asked for twice under one key."""
    first = world.answer_now(ANN)
    second = world.answer_now(ANN)
    if first.body != second.body:
        world.leaks.append("N2: the repetition differs from the answer")
    return set()


SCENARIOS: dict[str, Callable[[World], set[str]]] = {
    scenario.__name__: scenario for scenario in (answered, uploaded, cancelled, expired, late, repeated)
}


def violations(world: World, scenario: Callable[[World], set[str]]) -> list[str]:
    """Run a scenario to its end and tell what is wrong then."""
    oracle = answers()
    found: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws_clients, "_PAUSE_S", 0.0)
        patch.setattr(aws_clients, "send", world.points.send)
        try:
            statuses = scenario(world)
            if not world.settle():
                found.append("it never came to rest")
            found += invariants.settled(world)
            for ask in world.accepted:
                world.read(ask)
            found += invariants.answered(world, oracle)
        except GaveUp as error:
            return [*found, str(error)]
        accepted = {job_id for ids in world.accepted.values() for job_id in ids}
        ends = {record.status for record in records(world.cloud.items()) if record.id in accepted}
        if not ends <= statuses:
            found.append(f"the jobs are {sorted(ends)}, where {sorted(statuses)} was expected")
        world.age()
        return found + invariants.aged(world)


def run_in_memory(scenario: str, faults: Sequence[Fault] = (), *, lag: int = 0) -> tuple[list[str], World]:
    """One run of a scenario over AWS in memory."""
    clock = Clock()
    world = World(MemoryCloud(clock, lag=lag), clock, faults)
    return violations(world, SCENARIOS[scenario]), world


@cache
def answers() -> dict[Row, Answer]:
    """The synchronous answer to each row, by a program to which nothing happens."""
    clock = Clock()
    world = World(MemoryCloud(clock), clock)
    return {ask.row: world.answer_now(ask, key=False) for ask in ASKS}
