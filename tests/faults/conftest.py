"""What every run has in common."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from app.storage import aws_clients
from tests.clock import Clock
from tests.faults.cloud import MemoryCloud
from tests.faults.world import World


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Faults by the thousand say nothing."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world without faults; ``world.points`` stands between the program and AWS."""
    clock = Clock()
    found = World(MemoryCloud(clock), clock)
    monkeypatch.setattr(aws_clients, "_PAUSE_S", 0.0)

    def send(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        # Asked for each time, as some tests put another in its place.
        return found.points.send(service, operation, arguments)

    monkeypatch.setattr(aws_clients, "send", send)
    return found
