"""The stores that the tests of jobs run over."""

from collections.abc import Iterator

import pytest

from tests.jobs.stores import STORES, Stores


@pytest.fixture(params=list(STORES))
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Each store in turn, empty."""
    with STORES[request.param]() as found:
        yield found
