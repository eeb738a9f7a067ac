"""This process as one of the template's functions: its calls to AWS are allowed what its role is."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.storage import aws_clients
from tests.deployment import Resources
from tests.jobs.moto_stores import REGION, environment


@contextmanager
def acting_as(function: str, made: Resources) -> Iterator[None]:
    """Have calls to AWS signed by a function; none of them may be denied."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**environment(made.url), "AWS_ACCESS_KEY_ID": function, "AWS_REGION": REGION}.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.setattr(aws_clients, "_clients", {})
        made.gate.calls.clear()
        made.gate.denied.clear()
        try:
            yield
        finally:
            aws_clients.until(None)
        assert set() == made.gate.denied
