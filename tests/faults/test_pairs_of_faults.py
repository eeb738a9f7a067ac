"""Two faults in one run, sampled by a seed: ``FAULT_SEED`` and ``FAULT_PAIRS`` choose which and how many."""

import os

import pytest

from tests.faults import runs

PAIRS = int(os.environ.get("FAULT_PAIRS", "4000"))
PAIRS_OF_PROCESSES = 300
PAIRS_OVER_MOTO = 25
SAMPLE = 150


def test_a_sample_of_pairs() -> None:
    """A hundred and fifty pairs of faults leave nothing lost, done twice, or seen by another."""
    hit = [runs.check_in_memory(scenario, two) for scenario, two in runs.pairs(SAMPLE, kills_wait=True)]

    assert {1, 2} <= set(hit)


@pytest.mark.faults
def test_pairs() -> None:
    """Thousands of pairs of faults leave nothing lost, done twice, or seen by another."""
    hit = [runs.check_in_memory(scenario, two) for scenario, two in runs.pairs(PAIRS, kills_wait=True)]

    assert hit.count(2) > PAIRS / 2


@pytest.mark.faults
def test_pairs_of_processes() -> None:
    """Nor do pairs of which one or both kill a real process."""
    with runs.killing() as killing:
        hit = [killing.check(scenario, two) for scenario, two in runs.pairs(PAIRS_OF_PROCESSES, kills_wait=False)]

    assert hit.count(2) > PAIRS_OF_PROCESSES / 2


@pytest.mark.faults
def test_pairs_over_moto() -> None:
    """Nor do pairs over moto by HTTP."""
    with runs.over_moto() as moto:
        hit = [moto.check(scenario, two) for scenario, two in runs.pairs(PAIRS_OVER_MOTO, kills_wait=False)]

    assert hit.count(2) > PAIRS_OVER_MOTO / 2
