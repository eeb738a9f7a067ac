"""The SAM command line as the tests use it: no account, no telemetry, and templates over the AWS of the tests."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from local import template
from tests import lambda_samples, lambda_samples_machine, lambda_samples_s3
from tests.containers import engine
from tests.deployment import Resources
from tests.jobs.moto_stores import REGION
from tests.shells import free_port

SAM = str(engine.ROOT / ".venv-sam" / "bin" / "sam")
# What `sam build` calls the image: the function's name in the template.
IMAGE = "onnxlambda:latest"
CONFIG = engine.ROOT / "samconfig.toml"
# The function that answers a sample's event.
FUNCTIONS = {"nothing": "OnnxLambda", "jobs": "JobsWorker", "inbox": "InboxWorker", "bucket": "BatchWorker", "state machine": "BatchWorker"}


def environment(home: Path) -> dict[str, str]:
    """No account, no telemetry, and a home of its own, where SAM keeps its state. Nothing here reaches AWS."""
    settings = {key: value for key, value in os.environ.items() if key in {"PATH", "DOCKER_HOST"}}
    return settings | {"HOME": str(home), "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}


def run(*arguments: str | Path, env: dict[str, str], timeout: float = 180) -> str:
    """What a command prints."""
    done = subprocess.run([SAM, *arguments], cwd=engine.ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    assert 0 == done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@contextmanager
def serving(command: str, *arguments: str | Path, env: dict[str, str], log: Path) -> Iterator[str]:
    """`sam local start-api` or `start-lambda`, until the end; its address."""
    url = f"http://127.0.0.1:{free_port()}"
    # LAZY keeps the container for the next request
    flags = ["--port", url.rpartition(":")[2], "--config-file", CONFIG, "--warm-containers", "LAZY"]
    with log.open("wb") as stream:
        running = subprocess.Popen(
            [SAM, "local", command, *arguments, *flags], cwd=engine.ROOT, env=env, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        ends = time.monotonic() + engine.START_S
        while not _answers(url):
            assert running.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < ends, log.read_text()[-3000:]
            time.sleep(0.1)
        yield url
    finally:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(10)


def _answers(url: str) -> bool:
    try:
        httpx.get(f"{url}/health/live", timeout=120)
    except httpx.ConnectError:
        return False
    return True


def over(built: Path, made: Resources) -> Path:
    """The template that `sam build` left, with its functions' environments over what was made of it; laid beside it."""
    found = template.parsed(built.read_text())
    for name, resource in found["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function" and name in made.functions():
            variables = made.environment(name)
            if name in {"InboxWorker", "BatchWorker"}:
                variables |= lambda_samples_s3.SETTINGS
            resource["Properties"]["Environment"] = {"Variables": variables}
    place = built.with_name("template-over-moto.json")
    place.write_text(json.dumps(found))
    return place


def lay_out(made: Resources) -> None:
    """Put the objects that the samples name into the bucket that they name."""
    s3 = made.client("s3")
    bucket = lambda_samples_s3.BUCKET
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key=lambda_samples_s3.KEY, Body=lambda_samples_s3.FLOWERS, ContentType="text/csv")
    for key, body in lambda_samples_machine.FILES.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)


def function_of(name: str) -> str:
    """The function that a sample is for."""
    return "JobsSweeper" if name == "sweep" else FUNCTIONS[lambda_samples.SAMPLES[name].needs]


def invoke(built: Path, name: str, env: dict[str, str]) -> Any:
    """What `sam local invoke` prints of a sample's answer."""
    event = lambda_samples.FOLDER / f"{name}.json"
    return json.loads(run("local", "invoke", function_of(name), "--template", built, "--config-file", CONFIG, "--event", event, env=env))
