"""Work beside each other: in order, and never far ahead."""

import threading
import time
from collections.abc import Iterator

import pytest

from app.batches.in_order import in_order


@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_order(threads: int) -> None:
    """Results come in the order of the items, however long each takes."""

    def work(item: int) -> int:
        time.sleep(0.01 if item % 3 == 0 else 0)
        return item

    assert list(range(50)) == list(in_order(iter(range(50)), work, threads))


@pytest.mark.parametrize("threads", [1, 4])
def test_little_is_taken_ahead(threads: int) -> None:
    """No more items are taken than there are threads and one, so that memory does not grow with what is to be done."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while taken < 50:
            taken += 1
            yield taken

    ahead = [taken - item for item in in_order(items(), lambda item: item, threads)]

    assert max(ahead) <= threads


def test_one_failure_ends_it() -> None:
    """What one item makes go wrong is raised in its turn, and what was not begun is not begun any more."""
    begun: list[int] = []
    wait = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise ValueError
        if item > 2:
            wait.wait(0.05)
        return item

    with pytest.raises(ValueError):
        list(in_order(iter(range(100)), work, 2))

    assert len(begun) < 8
