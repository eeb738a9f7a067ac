"""The stores that the tests of jobs run over."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.jobs.house import House, build
from tests.jobs.stores import STORES, Stores

if TYPE_CHECKING:
    from tests.jobs.moto_stores import Aws


@pytest.fixture(params=list(STORES))
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Each store in turn, empty."""
    with STORES[request.param]() as found:
        yield found


@pytest.fixture
def aws() -> Iterator["Aws"]:
    """The store on AWS alone, empty, beside the server that it talks to."""
    from tests.jobs.moto_stores import Aws, moto_names

    with moto_names() as (server, names):
        yield Aws(server, names)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Callers and workers over one store."""
    with build(tmp_path) as found:
        yield found
