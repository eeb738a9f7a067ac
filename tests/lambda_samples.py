"""The sample events of ``events/`` and what the function answers to each; asked in process, in the container and under SAM."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.lambda_samples_machine import EXPECTED_OF_MACHINE, EXPECTED_OF_SCHEDULE
from tests.lambda_samples_s3 import EXPECTED_OF_S3
from tests.lambda_samples_streams import EXPECTED_OF_STREAMS

# What a sample asks of the function beside the models: JOBS=aws with all of its own; the bucket that the samples name as the inbox,
# with the object; that bucket with the batch machine's files in it; a state machine to start.
Needs = Literal["nothing", "jobs", "inbox", "bucket", "state machine"]
FOLDER = Path(__file__).parent.parent / "events"


def event(name: str) -> Any:
    """A sample's event."""
    return json.loads((FOLDER / f"{name}.json").read_bytes())


def check(name: str, answer: Any) -> None:
    """The answer to a sample is the expected one."""
    SAMPLES[name].check(answer)


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
    # Of jobs: what the message names is not there any more, so that nothing is left to do.
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

# A queue of requests.
EXPECTED_OF_RECORDS: dict[str, Callable[[Any], None]] = {"sqs-requests": _worked_off}

# Where predictions are answered later alone: with JOBS=aws and what that needs.
EXPECTED_OF_JOBS: dict[str, Callable[[Any], None]] = {"sqs-job": _worked_off, "sqs-webhook": _worked_off, "sweep": _swept}

# An event of AWS's that nobody here answers ("Invoke a Lambda function from an AWS CodeCommit trigger").
UNKNOWN: dict[str, Any] = {
    "Records": [
        {
            "awsRegion": "eu-west-1",
            "codecommit": {"references": [{"commit": "5c4ef1049f1d27deadbeeff313e0730018be182b", "ref": "refs/heads/main"}]},
            "customData": '{"inputs": {"X": [[5.1, 3.5, 1.4, 0.2]]}}',
            "eventId": "5a824061-17ca-46a9-bbf9-114edeadbeef",
            "eventName": "TriggerEventTest",
            "eventPartNumber": 1,
            "eventSource": "aws:codecommit",
            "eventSourceARN": "arn:aws:codecommit:eu-west-1:123456789012:flowers",
            "eventTime": "2026-11-22T09:30:00.000+0000",
            "eventTotalParts": 1,
            "eventTriggerConfigId": "5a824061-17ca-46a9-bbf9-114edeadbeef",
            "eventTriggerName": "flowers",
            "eventVersion": "1.0",
            "userIdentityARN": "arn:aws:iam::123456789012:root",
        }
    ]
}


class Sample(NamedTuple):
    """A sample: what its answer is, and what the function needs for it."""

    check: Callable[[Any], None]
    needs: Needs


def _of(needs: Needs, checks: dict[str, Callable[[Any], None]]) -> dict[str, Sample]:
    return {name: Sample(check, needs) for name, check in checks.items()}


# Every sample, those that need nothing first.
SAMPLES: dict[str, Sample] = {
    **_of("nothing", EXPECTED),
    **_of("nothing", EXPECTED_OF_RECORDS),
    **_of("nothing", EXPECTED_OF_STREAMS),
    **_of("jobs", EXPECTED_OF_JOBS),
    **_of("inbox", EXPECTED_OF_S3),
    **_of("bucket", EXPECTED_OF_MACHINE),
    **_of("state machine", EXPECTED_OF_SCHEDULE),
}


def names(*needs: Needs) -> list[str]:
    """The samples that need one of these; all of them where none is said."""
    return [name for name, sample in SAMPLES.items() if not needs or sample.needs in needs]
