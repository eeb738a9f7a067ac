"""Thousands of jobs of many callers while a share of all calls to AWS fails."""

import random
from collections import Counter
from typing import NamedTuple

import pytest

from app.jobs.job import Job
from app.storage import aws_clients
from tests.clock import Clock
from tests.faults import invariants
from tests.faults.callers import Answer, Ask, Row
from tests.faults.cloud import MemoryCloud, records
from tests.faults.noise import Noise
from tests.faults.world import World

SHARE = 0.3
# Of what AWS says happens "on rare occasions": an index behind its table, and a message that comes again.
LAG = 3
DUPLICATES = 0.01
ROWS = tuple((5.0 + number / 10, 3.0, 4.0 + number / 5, 1.5) for number in range(10))
CALLERS = 40


class Crowd(NamedTuple):
    """What came of it."""

    accepted: int
    states: Counter[str]
    violations: list[str]
    calls: int
    failed: Counter[str]
    lost_attempts: int
    webhooks: int


def ask_of(number: int) -> Ask:
    """What the caller of a number asks for; every second one has a receiver."""
    return Ask(f"caller-{number % CALLERS}", f"key-{number}", ROWS[number % len(ROWS)], "/hooks" if number % 2 else "")


def oracle() -> dict[Row, Answer]:
    """The synchronous answer to each row."""
    clock = Clock()
    world = World(MemoryCloud(clock), clock)
    return {row: world.answer_now(Ask("oracle", "", row), key=False) for row in ROWS}


def in_memory(jobs: int, seed: int, share: float = SHARE) -> Crowd:
    """A run in memory: the same for the same seed, but for the ids."""
    chance = random.Random(seed)
    clock = Clock()
    cloud = MemoryCloud(clock, lag=LAG, duplicates=random.Random(seed).random)
    cloud.aws.duplicate_share = DUPLICATES
    world = World(cloud, clock)
    noise = Noise(cloud.send, seed, share)
    world.points = noise  # type: ignore[assignment]
    answers = oracle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws_clients, "_PAUSE_S", 0.0)
        patch.setattr(aws_clients, "send", noise.send)
        for number in range(jobs):
            act(world, number, chance)
        found = [] if settle(world) else ["it never came to rest"]
        for ask in world.accepted:
            read_result(world, ask)
    return told(world, answers, found, noise)


def act(world: World, number: int, chance: random.Random) -> None:
    """One caller asks; sometimes he asks twice or cancels, and sometimes workers and the schedule have their turn."""
    ask = ask_of(number)
    world.submit(ask)
    if chance.random() < 0.05:
        world.submit(ask)
    if chance.random() < 0.05:
        world.cancel(ask)
    if chance.random() < 0.1:
        world.poll("jobs")
    if chance.random() < 0.05:
        world.poll("webhooks")
    if chance.random() < 0.02:
        world.sweep()
    world.clock.advance(chance.random() * 2)


def settle(world: World, rounds: int = 400) -> bool:
    """As :meth:`World.settle`; time goes on in steps of a lease."""
    for number in range(rounds):
        world.poll("jobs")
        world.poll("webhooks")
        world.sweep()
        world.clock.advance(60)
        # To look at everything takes longer than a round.
        if number % 5 == 4 and world.is_quiet():
            return True
    return False


def read_result(world: World, ask: Ask) -> None:
    """A caller reads his result."""
    path = f"/jobs/{world.accepted[ask][0]}/result"
    world.found[ask] = world._until(lambda: world.request(ask.owner, "GET", path), lambda status: status != 503)


def told(world: World, answers: dict[Row, Answer], found: list[str], noise: Noise) -> Crowd:
    """The account of a run."""
    found = [*found, *invariants.settled(world), *invariants.answered(world, answers)]
    kept = [record for record in records(world.cloud.items()) if isinstance(record, Job)]
    for job in kept:
        if job.status == "failed" and (job.error or {}).get("code") != "job-given-up":
            found.append(f"job {job.id} has failed: {job.error}")
    accepted = len({job_id for ids in world.accepted.values() for job_id in ids})
    attempts = sum(max(0, job.attempt - 1) for job in kept)
    states = Counter(job.status for job in kept)
    return Crowd(accepted, states, found, noise.calls, noise.failed, attempts, len(world.receiver.arrivals))
