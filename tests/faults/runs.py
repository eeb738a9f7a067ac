"""Runs of a scenario with faults, over AWS in memory and in moto, and which faults there are to run."""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from tests.clock import Clock
from tests.faults.cloud import MemoryCloud
from tests.faults.http_receiver import http_receiver
from tests.faults.moto_cloud import MotoCloud, moto_cloud
from tests.faults.points import KILLS, MODES, Fault
from tests.faults.processes import KilledWorld, Processes, processes
from tests.faults.scenarios import SCENARIOS, run_in_memory, violations

SEED = int(os.environ.get("FAULT_SEED", "4"))
# What changes nothing: between two of these a kill leaves AWS as the one after the last change did.
_READS = ("get_item", "query", "batch_get_item", "get_object", "list_objects_v2")
# In another process nobody can act while it waits.
_WAITS = ("slow-before", "slow-after", "late-before", "late-after")


class Broken(AssertionError):
    """An invariant did not hold; says with which faults."""


@cache
def calls(scenario: str) -> list[str]:
    """The names of a scenario's calls, in their order."""
    found, world = run_in_memory(scenario)
    if found:
        raise Broken(f"{scenario} without any fault: {found}")
    return world.points.names


def every(scenario: str, modes: Sequence[str] = tuple(MODES)) -> list[Fault]:
    """Every call in every mode."""
    return [Fault(number, mode) for number in range(1, len(calls(scenario)) + 1) for mode in modes]


def changes(scenario: str, modes: Sequence[str]) -> list[Fault]:
    """Every call of callers, workers and senders that changes something, in these modes: those before the first sweep."""
    first = calls(scenario)[: calls(scenario).index("s3 list_objects_v2")]
    return [fault for fault in every(scenario, modes) if fault.call <= len(first) and first[fault.call - 1].split()[1] not in _READS]


def pairs(count: int, *, kills_wait: bool) -> list[tuple[str, list[Fault]]]:
    """Two faults of one scenario, by the seed.

    :param kills_wait: whether a process that is killed may also be one that waits.
    """
    chance = random.Random(SEED)
    found: list[tuple[str, list[Fault]]] = []
    while len(found) < count:
        scenario = chance.choice(list(SCENARIOS))
        # The second may be one of the calls that the first one brings about.
        two = sorted(Fault(number, chance.choice(list(MODES))) for number in chance.sample(range(1, len(calls(scenario)) + 30), 2))
        modes = {fault.mode for fault in two}
        if kills_wait or not (modes & set(KILLS) and modes & set(_WAITS)):
            found.append((scenario, two))
    return found


def check_in_memory(scenario: str, faults: Sequence[Fault]) -> int:
    """Run and check; how many of the faults came.

    :raises Broken: for an invariant that did not hold.
    """
    found, world = run_in_memory(scenario, faults)
    if found:
        raise Broken(f"{scenario} with {_names(scenario, faults)}: {found}")
    return len(world.points.hit)


class Killing:
    """Runs whose kills are real, over AWS in the memory of this process."""

    def __init__(self, of: Processes) -> None:
        self._processes = of

    def check(self, scenario: str, faults: Sequence[Fault]) -> int:
        """See :func:`check_in_memory`."""
        clock = Clock()
        return _checked(KilledWorld(self._processes, MemoryCloud(clock), clock, faults), scenario, faults)


class OverMoto:
    """Runs over moto by HTTP, with real kills and webhooks that are sent."""

    def __init__(self, cloud: MotoCloud, of: Processes) -> None:
        self._cloud = cloud
        self._processes = of

    def check(self, scenario: str, faults: Sequence[Fault]) -> int:
        """See :func:`check_in_memory`."""
        self._cloud.clear()
        with http_receiver(self._cloud.status_of) as (receiver, url):
            world = KilledWorld(self._processes, self._cloud, self._cloud.clock, faults, receiver=receiver, url=url)
            return _checked(world, scenario, faults)


@contextmanager
def killing() -> Iterator[Killing]:
    """See :class:`Killing`."""
    with processes(MemoryCloud(Clock()).names, memory=True) as of:
        yield Killing(of)


@contextmanager
def over_moto() -> Iterator[OverMoto]:
    """See :class:`OverMoto`."""
    with moto_cloud() as cloud, processes(cloud.names, memory=False) as of:
        yield OverMoto(cloud, of)


def _checked(world: KilledWorld, scenario: str, faults: Sequence[Fault]) -> int:
    found = violations(world, SCENARIOS[scenario])
    if found:
        raise Broken(f"{scenario} with {_names(scenario, faults)}: {found}")
    return len(world.points.hit)


def _names(scenario: str, faults: Sequence[Fault]) -> str:
    known = ["", *calls(scenario)]
    return ", ".join(f"{fault.mode} at call {fault.call} {known[fault.call] if fault.call < len(known) else ''}" for fault in faults)
