"""The shells with jobs on, and a program whose clock and worker are in the test's hands."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.http.jobs_by_hand import ByHand
from tests.shells import in_process, server

# The emulator is not among them: it runs as on Lambda, where JOBS=sqlite is refused.
WITH_JOBS: dict[str, Callable[[Path, Path], AbstractContextManager[httpx.Client]]] = {
    "uvicorn-fastapi": lambda models, folder: server(models, fast_lane=False, JOBS="sqlite", JOBS_DIR=str(folder)),
    "uvicorn-fast-lane": lambda models, folder: server(models, fast_lane=True, JOBS="sqlite", JOBS_DIR=str(folder)),
    "mangum": lambda models, folder: in_process(models, fast_lane=False, JOBS="sqlite", JOBS_DIR=str(folder)),
    "fast-lane": lambda models, folder: in_process(models, fast_lane=True, JOBS="sqlite", JOBS_DIR=str(folder)),
}


@pytest.fixture(scope="session", params=list(WITH_JOBS))
def jobs_http(request: pytest.FixtureRequest, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An HTTP client of each shell in turn that answers later too."""
    with WITH_JOBS[request.param](models, tmp_path_factory.mktemp("jobs")) as client:
        yield client


@pytest.fixture
def by_hand(models: Path, tmp_path: Path) -> Iterator[ByHand]:
    """A program with an empty store, a clock that stands still, and a worker that works when it is told."""
    with ByHand.of(models, tmp_path / "jobs") as found:
        yield found
