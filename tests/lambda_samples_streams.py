"""What the function answers to the samples of topics, streams and buses, with any settings; see :mod:`tests.lambda_samples`."""

from collections.abc import Callable
from typing import Any


def _all_done(answer: Any) -> None:
    assert {"batchItemFailures": []} == answer


def _answered(answer: Any) -> None:
    assert {"answered": 1} == answer


EXPECTED_OF_STREAMS: dict[str, Callable[[Any], None]] = {
    "dynamodb-stream": _all_done,
    "eventbridge-prediction-requested": _answered,
    "kafka": _all_done,
    "kinesis": _all_done,
    "msk": _all_done,
    "sns": _answered,
}
