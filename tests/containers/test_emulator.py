"""The image under AWS's runtime interface emulator."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests import lambda_samples
from tests.containers import engine
from training import digits, iris

pytestmark = pytest.mark.containers

Invoke = Callable[[Any], Any]


@pytest.mark.parametrize("name", lambda_samples.names("nothing"))
def test_sample(invoke: Invoke, name: str) -> None:
    """Every sample of events/ gets its answer from the image."""
    lambda_samples.check(name, invoke(lambda_samples.event(name)))


def test_unknown_event_fails_the_invocation(invoke: Invoke) -> None:
    """An event that nobody knows is an error of the invocation, and the next one is answered again."""
    assert "UnknownEvent" == invoke(lambda_samples.UNKNOWN)["errorType"]
    assert {"warm": True} == invoke({"warmup": True})


@pytest.mark.parametrize(
    ("name", "example", "outputs"),
    [("iris", iris, ("output_label", "output_probability")), ("digits", digits, ("label", "probabilities"))],
    ids=["iris", "digits"],
)
def test_every_row_equals_scikit_learn(invoke: Invoke, name: str, example: Any, outputs: tuple[str, str]) -> None:
    """Each row of the data set gets scikit-learn's own label, and its probabilities within 1e-5."""
    samples, estimator = example.samples(), example.estimator()
    labels, probabilities = [], []
    for batch in np.array_split(samples, max(1, len(samples) // 500)):
        body = json.dumps({"inputs": batch.tolist(), "outputs": outputs})
        event = lambda_samples.event("http-api-v2-predict") | {"rawPath": f"/models/{name}/predict", "body": body}
        answer = invoke(event)
        assert 200 == answer["statusCode"], answer
        found = json.loads(answer["body"])["outputs"]
        labels += found[outputs[0]]
        probabilities += found[outputs[1]]

    assert len(samples) == len(labels)
    assert estimator.predict(samples).tolist() == labels
    assert np.abs(estimator.predict_proba(samples) - np.array(probabilities)).max() <= 1e-5


def test_documentation_through_the_gateway(invoke: Invoke) -> None:
    """GET /docs comes from FastAPI behind Mangum, inside the image."""
    event = lambda_samples.event("http-api-v2-models") | {"rawPath": "/docs"}
    answer = invoke(event)

    assert 200 == answer["statusCode"]
    assert "swagger-ui" in answer["body"]


def test_lambda_without_network_root_or_capabilities(image: str) -> None:
    """Lambda's way of running it: read-only root, a user of the platform's own, no capability; it needs no network at all."""
    flags = ("--network", "none", *engine.HARDENED, *engine.mounted_for(None))
    event = json.dumps(lambda_samples.event("direct-invoke-inputs")).encode()
    # from inside, for there is no port outside
    call = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080{engine.INVOKE_PATH}', {event!r}, 30).read().decode())"
    with engine.container(image, flags=flags) as identity:
        ends = time.monotonic() + engine.START_S
        while (done := engine.docker("exec", identity, "python3", "-c", call, check=False)).returncode and time.monotonic() < ends:
            time.sleep(0.1)

        lambda_samples.check("direct-invoke-inputs", json.loads(done.stdout))


def test_stops_when_asked(image: str) -> None:
    """SIGTERM ends the emulator and the function within two seconds."""
    with engine.emulated(image) as (identity, call):
        assert {"warm": True} == call({"warmup": True})
        started = time.monotonic()
        engine.docker("kill", "--signal", "TERM", identity)
        code = int(engine.docker("wait", identity, timeout=10).stdout)

        assert code in {0, 143}, engine.logs(identity)
        assert time.monotonic() - started < 2
