"""Predictions that are answered later, by the image as it is built: as functions against moto, and under `serve`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from app.storage.aws_clients import READ_S
from local.lambda_queue import Queue
from tests import lambda_samples
from tests.containers import aws, engine
from tests.deployment import Resources, wait_for
from tests.shells import EventTransport

pytestmark = pytest.mark.containers

ROW = [5.1, 3.5, 1.4, 0.2]
LATER = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def made() -> Iterator[Resources]:
    """The template's table, bucket, queues and secret, where containers reach them."""
    with aws.reachable() as found:
        yield found


@contextmanager
def function(image: str, made: Resources, name: str) -> Iterator[Callable[[Any], Any]]:
    """A function of the template, in a container as cautious as Lambda's own."""
    flags = [flag for variable, value in made.environment(name).items() for flag in ("--env", f"{variable}={value}")]
    with engine.emulated(image, (*engine.HARDENED, *flags)) as (_, invoke):
        yield invoke


def test_from_submit_to_result(image: str, made: Resources) -> None:
    """The api's function takes a job, the worker's answers it, the result is the synchronous answer, and the sweeper finds all in order."""
    with function(image, made, "OnnxLambda") as invoke, httpx.Client(transport=EventTransport(invoke), base_url="http://lambda") as api:
        at_once = api.post("/predict", json={"inputs": [ROW]})
        taken = api.post("/predict", json={"inputs": [ROW]}, headers=LATER)
        assert 202 == taken.status_code, taken.text
        with function(image, made, "JobsWorker") as worker:
            assert {"batchItemFailures": []} == Queue(made.client("sqs"), made.names["JobsQueue"]).deliver(worker)
        result = api.get(taken.headers["location"] + "/result")
    with function(image, made, "JobsSweeper") as sweeper:
        lambda_samples.check("sweep", sweeper(lambda_samples.event("sweep")))

    assert (200, at_once.content) == (result.status_code, result.content)


@pytest.mark.parametrize("name", list(lambda_samples.EXPECTED_OF_JOBS))
def test_sample(image: str, made: Resources, name: str) -> None:
    """The samples of jobs get their answers from the image."""
    with function(image, made, "JobsSweeper" if name == "sweep" else "JobsWorker") as invoke:
        lambda_samples.check(name, invoke(lambda_samples.event(name)))


def test_only_the_services_that_are_used_are_in_the_image(image: str) -> None:
    """botocore's descriptions are those of the services that are called, and a client of each can be built from them."""
    code = (
        "import json, botocore.session\n"
        "from app.storage.aws_clients import READ_S, client\n"
        "session = botocore.session.Session()\n"
        "found = session.get_available_services()\n"
        "for service in READ_S: client(service)\n"
        "session.create_client('sts')\n"
        "print(json.dumps(found))"
    )
    flags = ("--env", "AWS_DEFAULT_REGION=eu-west-1")

    assert sorted([*READ_S, "sts"]) == json.loads(engine.python(image, code, flags))


def _job(client: httpx.Client) -> str:
    taken = client.post("/predict", json={"inputs": [ROW]}, headers=LATER)
    assert 202 == taken.status_code, taken.text
    wait_for(lambda: client.get(taken.headers["location"]).json()["status"] == "succeeded", "the job's end")
    return str(taken.headers["location"])


def test_serve_keeps_jobs_on_a_read_only_root(image: str) -> None:
    """`docker run IMAGE serve` answers jobs as nobody's user, with nothing but /tmp to write to."""
    with engine.served(image, engine.HARDENED) as (identity, client):
        job = _job(client)

        assert [0] == client.get(f"{job}/result").json()["outputs"]["output_label"]
        assert [] == engine.docker("diff", identity).stdout.decode().splitlines()


def test_a_volume_keeps_jobs_beyond_the_container(image: str) -> None:
    """With a volume and JOBS_DIR in it a job's result is there in the next container, for the image's own user."""
    volume = engine.docker("volume", "create", "--label", engine.LABEL).stdout.decode().strip()
    flags = ("--read-only", "--tmpfs", "/tmp", "--volume", f"{volume}:/var/lib/onnx-lambda", "--env", "JOBS_DIR=/var/lib/onnx-lambda")
    try:
        with engine.served(image, flags) as (_, client):
            job = _job(client)
        with engine.served(image, flags) as (_, client):
            assert [0] == client.get(f"{job}/result").json()["outputs"]["output_label"]
    finally:
        engine.docker("volume", "rm", "--force", volume)
