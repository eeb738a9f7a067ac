"""Builds that are broken on purpose are caught, each by a single fault: otherwise what the other tests prove is nothing."""

import pytest

from tests.faults.controls import CONTROLS, Control, acknowledged_first, no_sweeper
from tests.faults.points import MODES, Fault
from tests.faults.scenarios import run_in_memory


def caught(control: Control) -> Fault | None:
    """The first single fault by which a build is caught."""
    with pytest.MonkeyPatch.context() as patch:
        control.breaks(patch)
        _, world = run_in_memory(control.scenario)
        for call in range(1, world.points.count + 1):
            for mode in MODES:
                found, _ = run_in_memory(control.scenario, [Fault(call, mode)])
                if any(control.caught in violation for violation in found):
                    return Fault(call, mode)
    return None


@pytest.mark.parametrize("name", CONTROLS)
def test_a_broken_build_is_caught(name: str) -> None:
    """A build without one of the precautions violates the invariant that it is there for."""
    assert caught(CONTROLS[name]) is not None


def test_a_message_that_is_deleted_first_is_lost() -> None:
    """Without a sweeper a worker that dies over its job loses it only where the message was deleted before the work was done."""
    # The first claim was made.
    fault = Fault(14, "kill-after")
    lost = {}
    for breaks in (no_sweeper, acknowledged_first):
        with pytest.MonkeyPatch.context() as patch:
            breaks(patch)
            found, _ = run_in_memory("answered", [fault])
        lost[breaks] = any(violation.startswith("N1") for violation in found)

    assert {no_sweeper: False, acknowledged_first: True} == lost
