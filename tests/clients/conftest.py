"""A real server in both lanes, for clients that speak to sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shells import server


@pytest.fixture(scope="session", params=[True, False], ids=["fast-lane", "fastapi"])
def address(request: pytest.FixtureRequest, models: Path) -> Iterator[str]:
    """Host and port of ``onnx-lambda serve``, with the fast lane and with FastAPI alone."""
    with server(models, fast_lane=request.param) as client:
        yield client.base_url.netloc.decode()
