"""Every sample of events/ is answered by the function as a user who tries it expects."""

from pathlib import Path
from typing import Any

import pytest

from app.errors import UnknownEvent
from app.wiring import event_handler, wire
from handler import ThroughMangum
from tests import lambda_samples
from tests.shells import Context, copy_models


@pytest.fixture(scope="module", params=["on", "off"])
def invoke(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The function with the project's own models, by the fast lane and through Mangum and FastAPI."""
    folder = copy_models(tmp_path_factory.mktemp("events") / "models")
    program = wire({"MODEL_DIR": str(folder), "HTTP_FAST_LANE": request.param, "JOBS": "off"})
    return event_handler(program, ThroughMangum(program))


def test_every_sample_has_an_expected_answer() -> None:
    """A sample without an expectation, or an expectation without a sample, is a mistake."""
    assert sorted(lambda_samples.EXPECTED) == sorted(path.stem for path in lambda_samples.FOLDER.iterdir())


@pytest.mark.parametrize("name", list(lambda_samples.EXPECTED))
def test_sample(invoke: Any, name: str) -> None:
    """The sample gets its answer."""
    lambda_samples.check(name, invoke(lambda_samples.event(name), Context()))


def test_unknown_event_raises(invoke: Any) -> None:
    """An event that no trigger knows fails the invocation instead of passing for answered, and no value of it is repeated."""
    with pytest.raises(UnknownEvent, match="Records") as caught:
        invoke(lambda_samples.UNKNOWN, Context())

    assert "inputs" not in str(caught.value).replace("'inputs'", "")


def test_samples_hold_nothing_of_anybody() -> None:
    """Accounts, hosts and addresses of the samples are those that AWS and the RFCs keep for examples."""
    for path in Path(lambda_samples.FOLDER).iterdir():
        text = path.read_text()
        assert text.endswith("}\n")
        for account in ("accountId", "account"):
            assert f'"{account}": "' not in text or f'"{account}": "123456789012"' in text
        assert "192.0.2.44" in text or "sourceIp" not in text
