"""Objects that records refer to: which may be read, and how much of them."""

import json
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from app.errors import BodyTooLarge, Invalid, Unreadable
from app.storage.aws_clients import client, time_left
from app.triggers.references import References
from app.triggers.requests import Reference
from app.wiring import event_handler, wire
from tests import lambda_samples
from tests.jobs.moto_stores import moto_names
from tests.shells import Context, ThroughMangum, copy_models

DEADLINE = time.monotonic() + 60


class Kept(NamedTuple):
    """An object in memory."""

    body: bytes

    @property
    def size(self) -> int:
        return len(self.body)

    def read(self, start: int, length: int) -> bytes:
        return self.body[start : start + length]


OBJECTS = {
    ("in", "a/b c.csv", ""): Kept(b"1,2"),
    ("in", "a/b c.csv", "v1"): Kept(b"1"),
    ("in", "none", ""): Kept(b""),
    ("in", "big", ""): Kept(b"1234"),
}
REFERENCES = References(lambda *named: OBJECTS.get(named), buckets=["in", "other"], max_bytes=3)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [(Reference("s3://in/a/b c.csv"), b"1,2"), (Reference("s3://in/a/b c.csv", "v1"), b"1"), (Reference("s3://in/none"), b"")],
)
def test_what_may_be_read(reference: Reference, expected: bytes) -> None:
    """An object of an allowed bucket is read whole, by its version where one is named."""
    assert expected == REFERENCES.fetch(reference, DEADLINE)


@pytest.mark.parametrize(
    ("uri", "kind", "words"),
    [
        ("s3://secret/a", Invalid, "INPUT_BUCKETS"),
        ("s3://in.evil/a", Invalid, "INPUT_BUCKETS"),
        ("s3://in/gone", Unreadable, "no object of that key"),
        ("s3://in/big", BodyTooLarge, "has 4 bytes, but at most 3"),
    ],
)
def test_what_may_not_be_read(uri: str, kind: type[Exception], words: str) -> None:
    """Another bucket, an object that is not there and one that is too large are refused by name, and no other bucket is named."""
    with pytest.raises(kind, match=words) as failure:
        REFERENCES.fetch(Reference(uri), DEADLINE)

    assert "other" not in str(failure.value)


def test_reading_ends_before_results_are_written() -> None:
    """Calls to AWS on the way to an object end by the deadline of the run, and not with the invocation."""
    left: list[float] = []

    def find(*named: str) -> Kept:
        left.append(time_left())
        return OBJECTS[named]  # type: ignore[index]

    References(find, buckets=["in"], max_bytes=3).fetch(Reference("s3://in/a/b c.csv"), time.monotonic() + 2)

    assert 0 < left[0] <= 2


def test_an_object_is_no_larger_than_the_memory_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A function on Lambda refuses an object that may become more than its memory holds, so that nobody else's record ends with it."""
    with moto_names() as (_, names):
        named = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "INPUT_BUCKETS": names.bucket, "JOBS": "off"}
        program = wire({"MODEL_DIR": str(copy_models(tmp_path / "models")), **named})
        record = lambda_samples.event("sqs-requests")["Records"][0]
        records = []
        for name, body in {"fits": b"5.1,3.5,1.4,0.2\n", "large": bytes(2 * 1024 * 1024 + 1)}.items():
            client("s3").put_object(Bucket=names.bucket, Key=f"{name}.csv", Body=body)
            said = json.dumps({"s3": f"s3://{names.bucket}/{name}.csv"})
            records.append(record | {"messageId": name, "body": said, "messageAttributes": {}})
        answer = event_handler(program, ThroughMangum(program))({"Records": records}, Context())

    assert {"batchItemFailures": [{"itemIdentifier": "large"}]} == answer
    assert '"body-too-large"' in capsys.readouterr().out
