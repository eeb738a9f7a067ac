"""The sample events of ``events/`` and what the function answers to each; asked in process, in the container and under SAM."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "events"


def event(name: str) -> Any:
    """A sample's event."""
    return json.loads((FOLDER / f"{name}.json").read_bytes())


def check(name: str, answer: Any) -> None:
    """The answer to a sample is the expected one."""
    (EXPECTED | EXPECTED_OF_JOBS)[name](answer)


def _body(answer: Any, *, multi_value: bool = False) -> Any:
    """The JSON of an HTTP answer, which is there as text."""
    assert 200 == answer["statusCode"], answer
    assert answer["isBase64Encoded"] is False
    headers = {name.lower(): value for name, value in answer["multiValueHeaders" if multi_value else "headers"].items()}
    assert headers["content-type"] == (["application/json"] if multi_value else "application/json")
    return json.loads(answer["body"])


def _setosa(answer: Any) -> None:
    prediction = _body(answer)
    assert "iris" == prediction["model"]["name"]
    assert [0] == prediction["outputs"]["output_label"]
    assert "multiValueHeaders" not in answer


def _load_balancer(answer: Any) -> None:
    _setosa(answer)
    assert answer["statusDescription"].startswith("200")


def _multi_value(answer: Any) -> None:
    assert [0] == _body(answer, multi_value=True)["outputs"]["output_label"]
    assert "headers" not in answer


def _models(answer: Any) -> None:
    assert ["digits", "iris"] == sorted(model["name"] for model in _body(answer)["models"])


def _direct_inputs(answer: Any) -> None:
    assert [0] == answer["outputs"]["output_label"]
    assert "flower-1" == answer["id"]


def _direct_instances(answer: Any) -> None:
    assert [0, 2] == [row["output_label"] for row in answer["predictions"]]


def _warm(answer: Any) -> None:
    assert {"warm": True} == answer


def _worked_off(answer: Any) -> None:
    # What the message names is not there any more, so that nothing is left to do.
    assert {"batchItemFailures": []} == answer


def _swept(answer: Any) -> None:
    assert {"sent", "expired", "failed", "deleted", "orphans", "errors"} == answer.keys()
    assert not any(answer.values())


EXPECTED: dict[str, Callable[[Any], None]] = {
    "alb-multi-value-headers-predict": _multi_value,
    "alb-predict": _load_balancer,
    "direct-invoke-inputs": _direct_inputs,
    "direct-invoke-instances": _direct_instances,
    "eventbridge-schedule": _warm,
    "function-url-predict": _setosa,
    "http-api-v1-predict": _setosa,
    "http-api-v2-base64": _setosa,
    "http-api-v2-models": _models,
    "http-api-v2-predict": _setosa,
    "rest-api-predict": _setosa,
    "warmup-ping": _warm,
}

# Where predictions are answered later alone: with JOBS=aws and what that needs.
EXPECTED_OF_JOBS: dict[str, Callable[[Any], None]] = {"sqs-job": _worked_off, "sqs-webhook": _worked_off, "sweep": _swept}

# A queue's event, as Amazon SQS sends it: without jobs no trigger knows it, and none may take it for something else.
UNKNOWN: dict[str, Any] = {
    "Records": [
        {
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": '{"inputs": {"X": [[5.1, 3.5, 1.4, 0.2]]}}',
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1795339800000",
                "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                "ApproximateFirstReceiveTimestamp": "1795339800001",
            },
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:predictions",
            "awsRegion": "eu-west-1",
        }
    ]
}
