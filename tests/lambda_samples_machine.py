"""The sample events of the batch machine, and what the function answers to each; see :mod:`tests.lambda_samples`.

They need a bucket of theirs: with ``FILES`` in it, and writable under ``predictions/``.
"""

import json
from collections.abc import Callable
from typing import Any

BUCKET = "amzn-s3-demo-bucket"
_FLOWERS = b"sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n"
FILES = {"batches/flowers/monday.csv": _FLOWERS, "batches/2027-01-01.csv": _FLOWERS}


def in_bucket(event: Any, bucket: str) -> Any:
    """The sample over another bucket."""
    return json.loads(json.dumps(event).replace(BUCKET, bucket))


def _csv(answer: Any) -> None:
    assert {"rows": 2, "failed": 0, "key": "predictions/flowers.csv/6d6f642d2d2d6964/parts/000000002000-2-0.csv"} == answer


def _json(answer: Any) -> None:
    assert {"rows": 2, "failed": 0, "key": "predictions/flowers.json/6d6f642d2d2d6964/parts/000000000000-2-0.jsonl"} == answer


def _objects(answer: Any) -> None:
    assert {"rows": 1, "failed": 0, "key": "predictions/flowers/6d6f642d2d2d6964/parts/000000000000-1-0.jsonl"} == answer


def _summary(answer: Any) -> None:
    # After the sample of CSV two of its rows are there.
    assert {"rows", "answered", "failed", "missing", "parts", "key"} == answer.keys()
    assert "predictions/flowers.csv/6d6f642d2d2d6964/summary.json" == answer["key"]
    assert 2002 == answer["answered"] + answer["missing"]


def _scheduled(answer: Any) -> None:
    assert {"execution", "started", "output"} == answer.keys()
    assert answer["execution"].startswith("2027-01-01-csv-")


EXPECTED_OF_MACHINE: dict[str, Callable[[Any], None]] = {
    "distributed-map-csv": _csv,
    "distributed-map-json": _json,
    "distributed-map-objects": _objects,
    "distributed-map-summary": _summary,
}
# Where there is a state machine to start.
EXPECTED_OF_SCHEDULE: dict[str, Callable[[Any], None]] = {"scheduled-batch": _scheduled}
