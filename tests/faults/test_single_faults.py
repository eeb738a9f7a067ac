"""Every call to AWS of every step, and every way in which one can go wrong: afterwards N1 to N7 hold."""

import random
from collections.abc import Iterator

import pytest

from tests.faults import runs
from tests.faults.points import KILLS, Fault
from tests.faults.runs import SEED, Killing, OverMoto
from tests.faults.scenarios import SCENARIOS

# In `make test`; `make test-faults` runs all of them.
SAMPLE = 400
SAMPLE_OF_KILLS = 15
SAMPLE_OVER_MOTO = 2


@pytest.fixture(scope="module")
def killing() -> Iterator[Killing]:
    """Processes that are killed, over AWS in memory."""
    with runs.killing() as found:
        yield found


@pytest.fixture(scope="module")
def moto() -> Iterator[OverMoto]:
    """Processes that are killed, over AWS in moto."""
    with runs.over_moto() as found:
        yield found


def sample(scenarios: list[tuple[str, Fault]], count: int) -> list[tuple[str, Fault]]:
    return random.Random(SEED).sample(scenarios, count)


def test_every_scenario_is_whole() -> None:
    """Where nothing goes wrong every scenario ends as it should, and asks AWS for as much as there is to go wrong."""
    asked = {scenario: len(runs.calls(scenario)) for scenario in SCENARIOS}

    assert min(asked.values()) > 50
    assert sum(asked.values()) > 450


def test_a_sample_of_single_faults() -> None:
    """Four hundred of all single faults leave nothing lost, done twice, or seen by another."""
    every = [(scenario, fault) for scenario in SCENARIOS for fault in runs.every(scenario)]

    assert {1} == {runs.check_in_memory(scenario, [fault]) for scenario, fault in sample(every, SAMPLE)}


def test_a_sample_of_kills(killing: Killing) -> None:
    """Processes that are killed at a sample of all calls leave nothing lost, done twice, or seen by another."""
    every = [(scenario, fault) for scenario in SCENARIOS for fault in runs.every(scenario, KILLS)]

    assert {1} == {killing.check(scenario, [fault]) for scenario, fault in sample(every, SAMPLE_OF_KILLS)}


def test_a_sample_of_kills_over_moto(moto: OverMoto) -> None:
    """The same over moto by HTTP, with webhooks that are sent and verified."""
    every = [("answered", fault) for fault in runs.changes("answered", KILLS)]

    assert {1} == {moto.check(scenario, [fault]) for scenario, fault in sample(every, SAMPLE_OVER_MOTO)}


@pytest.mark.faults
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_single_fault(scenario: str) -> None:
    """Every call of a scenario in every mode leaves nothing lost, done twice, or seen by another."""
    every = runs.every(scenario)

    assert len(every) == sum(runs.check_in_memory(scenario, [fault]) for fault in every)


@pytest.mark.faults
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_kill(killing: Killing, scenario: str) -> None:
    """A process that is killed by SIGKILL before or after whichever call leaves nothing lost, done twice, or seen by another."""
    every = runs.every(scenario, KILLS)

    assert len(every) == sum(killing.check(scenario, [fault]) for fault in every)


@pytest.mark.faults
def test_every_change_over_moto(moto: OverMoto) -> None:
    """Over moto by HTTP every call of callers, workers and senders that changes something may kill its process."""
    every = runs.changes("answered", KILLS)

    assert len(every) == sum(moto.check("answered", [fault]) for fault in every)
