"""The places that the tests of results run over."""

from collections.abc import Iterator

import pytest

from tests.results import worlds
from tests.results.worlds import WORLDS, World


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Each place in turn, empty."""
    with WORLDS[request.param]() as found:
        yield found


@pytest.fixture(params=["queue", "fifo", "bus", "stream"])
def batching(request: pytest.FixtureRequest) -> Iterator[World]:
    """The places that take several results in a request."""
    with WORLDS[request.param]() as found:
        yield found


@pytest.fixture
def queue() -> Iterator[World]:
    """A standard queue."""
    with worlds.queue() as found:
        yield found


@pytest.fixture
def fifo() -> Iterator[World]:
    """A FIFO queue."""
    with worlds.queue(fifo=True) as found:
        yield found


@pytest.fixture
def prefix() -> Iterator[World]:
    """A prefix of a bucket."""
    with worlds.prefix() as found:
        yield found


@pytest.fixture
def bus() -> Iterator[World]:
    """An event bus that hears events of our own form."""
    with worlds.bus() as found:
        yield found


@pytest.fixture
def cloudevents() -> Iterator[World]:
    """An event bus that hears CloudEvents."""
    with worlds.bus(cloudevents=True) as found:
        yield found


@pytest.fixture
def stream() -> Iterator[World]:
    """A Firehose stream."""
    with worlds.stream() as found:
        yield found
