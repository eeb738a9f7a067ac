"""The image, built once for the session, and containers of it."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.containers import engine

# AWS's guide mounts the emulator as the entry point and names the image's own entry behind it:
# https://docs.aws.amazon.com/lambda/latest/dg/python-image.html
ENTRY = "/entrypoint.sh"


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The image as `docker build` makes it; the engine's cache makes the second time quick."""
    tag = "onnx-lambda:test"
    engine.docker("build", "--quiet", "--tag", tag, str(engine.ROOT), timeout=900)
    yield tag
    for identity in engine.docker("ps", "--all", "--quiet", "--filter", f"label={engine.LABEL}").stdout.decode().split():
        engine.docker("rm", "--force", identity)


@pytest.fixture(scope="module")
def server(image: str) -> Iterator[httpx.Client]:
    """A client of `docker run IMAGE serve`."""
    with engine.served(image) as (_, client):
        yield client


@pytest.fixture(scope="module", params=[ENTRY, None], ids=["emulator-as-entry-point", "emulator-mounted"])
def invoke(request: pytest.FixtureRequest, image: str) -> Iterator[Callable[[Any], Any]]:
    """Invokes the image under the emulator, mounted both ways."""
    with engine.emulated(image, entry=request.param) as (_, call):
        yield call
