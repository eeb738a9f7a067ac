"""The lives of jobs and keys to their very end, with the rights of the template's roles: what was answered, cancelled, forgotten."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployment import Deployment, running
from tests.shells import EventTransport

ROW = [5.1, 3.5, 1.4, 0.2]
LATER = {"Prefer": "respond-async"}
DAY_S = 86_400.0


def signed(event: dict[str, Any]) -> dict[str, Any]:
    """The event of somebody whom IAM knows."""
    event["requestContext"]["authorizer"] = {
        "iam": {"accountId": "123456789012", "userArn": "arn:aws:iam::123456789012:user/ann", "userId": "AIDA"}
    }
    return event


@pytest.fixture(name="aws", scope="module")
def _aws(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment whose answers to keys are too long for a record of the table."""
    with running(models, tmp_path_factory.mktemp("deployment")) as found:
        found.api = httpx.Client(
            transport=EventTransport(lambda event: found.invoke("OnnxLambda", signed(event))), base_url="http://lambda"
        )
        yield found
        assert set() == found.made.gate.denied


def asked_for(aws: Deployment) -> set[tuple[str, str]]:
    """Function and action of every call so far."""
    return {(one[0], one[1]) for one in aws.made.gate.seen}


def test_jobs_are_listed_and_cancelled(aws: Deployment) -> None:
    """A caller's jobs are found by their owner, and one that is cancelled tells its receiver, and forgets its body."""
    jobs = [
        aws.api.post("/predict", json={"inputs": [ROW]}, headers={**LATER, "Webhook-Url": "https://93.184.216.34/hook"}).headers["location"]
        for _ in range(2)
    ]
    listed = aws.api.get("/jobs").json()["jobs"]
    cancelled = aws.api.delete(jobs[0]).json()

    assert {one["id"] for one in listed} >= {job.rpartition("/")[2] for job in jobs}
    assert "cancelled" == cancelled["status"]
    assert {("OnnxLambda", "dynamodb:Query"), ("OnnxLambda", "dynamodb:BatchGetItem")} <= asked_for(aws)


def test_long_answers_of_keys_are_kept_and_repeated(aws: Deployment) -> None:
    """The answer to a key is kept in the bucket where it is too long for the table, and the second request gets the same bytes."""
    key = {"Idempotency-Key": '"a-long-answer"'}
    first, second = (aws.api.post("/predict", json={"inputs": [ROW] * 20_000}, headers=key) for _ in range(2))

    assert 200 == first.status_code
    assert first.content == second.content


def test_everything_is_forgotten(aws: Deployment) -> None:
    """Days later the sweeper has deleted jobs, keys and what they named."""
    aws.api.post("/predict", json={"inputs": [ROW]}, headers={**LATER, "Webhook-Url": "https://93.184.216.34/hook"})
    aws.answer_jobs()
    for days in (1, 5, 10, 20):
        aws.set_clock(days * DAY_S)
        assert 0 == aws.sweep()["errors"]

    assert [] == aws.api.get("/jobs").json()["jobs"]
    assert {("JobsSweeper", "dynamodb:DeleteItem"), ("JobsSweeper", "s3:DeleteObject")} <= asked_for(aws)
