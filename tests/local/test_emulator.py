"""Functions under the real emulator."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from local.emulator import Emulator, EventTooLarge, InvokeFailed, TookTooLong
from local.limits import PAYLOAD_BYTES
from tests import lambda_samples
from tests.shells import copy_models, emulator_url, free_port


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The project's function."""
    models: Path = copy_models(tmp_path_factory.mktemp("emulator") / "models")
    with emulator_url(models) as url:
        yield Emulator("OnnxLambda", httpx.URL(url).port or 0, 30)


def test_events_wait_for_one_another(function: Emulator) -> None:
    """Events that come at once are all answered, although two at once would make the emulator panic."""
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: function.invoke({"warmup": True}), range(40)))

    assert [{"warm": True}] * 40 == answers


def test_a_failure_is_no_answer(function: Emulator) -> None:
    """What the function raises is raised here, and the next event is answered again."""
    with pytest.raises(InvokeFailed, match="UnknownEvent"):
        function.invoke(lambda_samples.UNKNOWN)

    assert {"warm": True} == function.invoke({"warmup": True})


def test_an_event_that_lambda_refuses(function: Emulator) -> None:
    """The emulator would cut it off; Lambda refuses it."""
    with pytest.raises(EventTooLarge):
        function.invoke({"x": "a" * PAYLOAD_BYTES})


def test_patience_includes_the_turn(function: Emulator) -> None:
    """A caller who waits no longer is told so, and its event costs nobody else an answer."""
    with pytest.raises(TookTooLong):
        function.invoke({"warmup": True}, 0.0)

    assert {"warm": True} == function.invoke({"warmup": True})


def test_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function whose container is not there is an invoke that failed."""
    monkeypatch.setattr("local.emulator.START_S", 0.1)
    with pytest.raises(InvokeFailed, match="OnnxLambda cannot be reached"):
        Emulator("OnnxLambda", free_port(), 1).invoke({})
