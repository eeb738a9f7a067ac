"""The function that the batch machine invokes, and S3."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from app.batches.machine_run import Asked, Batch, run_of
from app.errors import UnsupportedContentType
from app.prediction import PredictionRequest
from app.storage import aws_clients
from app.triggers.batch_summary import SummaryTrigger, is_summary
from app.triggers.distributed_map import DistributedMapTrigger, is_batch
from app.triggers.records import Times
from app.wiring import Program, wire
from tests.jobs.aws_server import AwsServer
from tests.jobs.moto_stores import moto_names
from tests.shells import Context, copy_models

FLOWERS = ([5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5])
COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")


class Done(NamedTuple):
    """What predicting a file came to."""

    rows: int
    failures: int
    folder: str = "files/"


class Cloud:
    """A bucket, the function, and what they hold."""

    def __init__(self, server: AwsServer, bucket: str, program: Program) -> None:
        self.server = server
        self.bucket = bucket
        self.program = program
        self.predicted: list[str] = []
        self.context: Callable[[], Any] = Context
        allowed = [f"s3://{bucket}/out/"]
        trigger = DistributedMapTrigger(program.predictor, program.observer, self.predict_object, allowed_outputs=allowed)
        self._triggers = ((is_batch, trigger), (is_summary, SummaryTrigger(allowed_outputs=allowed)))

    def invoke(self, event: Any) -> Any:
        """The function's answer to an event."""
        (found,) = [handle for recognises, handle in self._triggers if recognises(event)]
        return found(event, self.context())

    def put(self, key: str, body: bytes | str) -> str:
        """Keep an object; its address."""
        aws_clients.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def asked(self, key: str, **more: Any) -> Asked:
        """A run over an object."""
        return Asked(f"s3://{self.bucket}/{key}", f"s3://{self.bucket}/out/", **more)

    def told(self, key: str, **more: Any) -> dict[str, Any]:
        """What its execution is told."""
        return run_of(self.asked(key, **more)).input

    def objects(self, prefix: str = "out/") -> dict[str, bytes]:
        """What is under a prefix, without what Step Functions writes itself."""
        s3 = aws_clients.client("s3")
        keys = [found["Key"] for found in s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ())]
        return {key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys if "/map/" not in key}

    def part(self, ending: str) -> bytes:
        """The one object whose key ends so."""
        (found,) = [body for key, body in self.objects().items() if key.endswith(ending)]
        return found

    def answer(self, body: bytes, content_type: str, accept: str) -> bytes:
        """The project's own answer to a body."""
        return self.program.predictor.answer(PredictionRequest(body, content_type=content_type, accept=accept)).body

    def predict_object(self, key: str, batch: Batch, times: Times) -> Done:
        """Predict a file in one request."""
        self.predicted.append(key)
        if not key.endswith(".csv"):
            raise UnsupportedContentType("no file of a kind that is known")
        body = aws_clients.client("s3").get_object(Bucket=batch.bucket, Key=key)["Body"].read()
        return Done(self.answer(body, "text/csv", "application/jsonl").count(b"\n"), 0)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The project's own models."""
    return wire({"MODEL_DIR": str(copy_models(tmp_path_factory.mktemp("machine") / "models")), "JOBS": "off"})


@pytest.fixture
def cloud(program: Program) -> Iterator[Cloud]:
    """An empty bucket and the function."""
    with moto_names() as (server, names):
        yield Cloud(server, names.bucket, program)


def table(count: int, *, bad: tuple[int, ...] = ()) -> str:
    """A CSV of flowers by turns, whose bad rows hold a word."""
    lines = [",".join(COLUMNS)]
    for number in range(count):
        cells = [str(value) for value in FLOWERS[number % 2]]
        lines.append(",".join(["so", *cells[1:]] if number in bad else cells))
    return "\r\n".join(lines) + "\r\n"


def event(bucket: str, items: list[Any], **told: Any) -> dict[str, Any]:
    """A batch of items as ItemBatcher makes it, counted from 0."""
    batch = {"bucket": bucket, "key": "in.csv", "output_bucket": bucket, "output_prefix": "out/in.csv/0123456789abcdef/"}
    batch |= {"input_format": "csv", "output_format": "", "model": "", "model_version": "", "digest": ""}
    return {
        "Items": [{"index": index, "value": value} for index, value in enumerate(items)],
        "BatchInput": {**batch, "tolerated_failure_percentage": 50, **told},
    }
