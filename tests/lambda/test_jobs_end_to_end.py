"""Jobs on AWS as far as one machine goes: the template's own table, bucket and queues in moto, and its functions under awslambdaric."""

import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.jobs.queue_message import message_of
from tests.deployment import Deployment, running, wait_for
from tests.problems import check_problem
from tests.shells import emulator

ROW = [5.1, 3.5, 1.4, 0.2]
LATER = {"Prefer": "respond-async"}
# What a runtime that was killed leaves to Lambda: the message comes back when its time in the queue is over.
VISIBILITY_S = 1800


@pytest.fixture(scope="module")
def _deployment(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with running(models, tmp_path_factory.mktemp("deployment")) as found:
        yield found


@pytest.fixture
def aws(_deployment: Deployment) -> Iterator[Deployment]:
    """A deployment with empty queues, its clocks at the machine's time."""
    _deployment.set_clock(0.0)
    yield _deployment
    # What is hidden comes back for this.
    _deployment.made.server.ahead_s = 100.0 * VISIBILITY_S
    for queue in (_deployment.jobs, _deployment.dead_jobs, _deployment.webhooks):
        queue.clear()
    assert set() == _deployment.made.gate.denied


def submit(aws: Deployment, inputs: Any, path: str = "/predict", **fields: str) -> str:
    """Where the job of a request is."""
    answer = aws.api.post(path, json={"inputs": inputs}, headers={**LATER, **fields})
    assert 202 == answer.status_code, answer.text
    return answer.headers["location"]


def status(aws: Deployment, job: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.api.get(job).json()
    return found


def test_from_submit_to_result(aws: Deployment) -> None:
    """A request over HTTP is taken with 202, its message answered by the worker, and the result is the synchronous answer to the byte."""
    at_once = aws.api.post("/predict", json={"inputs": [ROW]})
    job = submit(aws, [ROW])
    check_problem(aws.api.get(f"{job}/result"), 409, "job-unfinished")
    answer = aws.answer_jobs()
    result = aws.api.get(f"{job}/result")

    assert {"batchItemFailures": []} == answer
    assert 0 == aws.jobs.size()
    assert ("succeeded", 1) == (status(aws, job)["status"], status(aws, job)["attempts"])
    assert (200, at_once.content, at_once.headers["content-type"]) == (result.status_code, result.content, result.headers["content-type"])
    assert at_once.headers["x-model-digest"] == result.headers["x-model-digest"]


def test_a_whole_delivery_is_answered(aws: Deployment) -> None:
    """Ten jobs come to the worker in one delivery, and each has its own answer."""
    jobs = [submit(aws, [[*ROW[:3], number / 10]]) for number in range(10)]
    expected = [aws.api.post("/predict", json={"inputs": [[*ROW[:3], number / 10]]}).content for number in range(10)]

    assert {"batchItemFailures": []} == aws.answer_jobs()
    assert expected == [aws.api.get(f"{job}/result").content for job in jobs]


def test_a_model_that_refuses_fails_the_job(aws: Deployment) -> None:
    """A run that fails ends its job with the error that the synchronous call answers, and its message is done with."""
    at_once = aws.api.post("/models/pick/predict", json={"inputs": [1000]})
    job = submit(aws, [1000], "/models/pick/predict")

    assert {"batchItemFailures": []} == aws.answer_jobs()
    assert "failed" == status(aws, job)["status"]
    assert at_once.json()["code"] == aws.api.get(f"{job}/result").json()["code"] == status(aws, job)["error"]["code"]


def test_the_same_message_twice(aws: Deployment) -> None:
    """A message that comes again after its job was answered is done with, and nothing is run again."""
    job = submit(aws, [ROW])
    aws.answer_jobs()
    aws.jobs.put(message_of("jobs", job.rpartition("/")[2]))

    assert {"batchItemFailures": []} == aws.answer_jobs()
    assert 1 == status(aws, job)["attempts"]


@pytest.mark.parametrize("k", [0, 1, 5, 9, 10])
def test_poison_comes_back_alone(aws: Deployment, k: int) -> None:
    """Of ten messages the k that nobody can read come again, and the others' jobs are answered."""
    jobs = [submit(aws, [ROW]) for _ in range(min(1, 10 - k))]
    # Messages of jobs that are long gone are read and done with, so that they can stand in for others.
    gone = [message_of("jobs", f"{number:032x}") for number in range(10 - k - len(jobs))]
    aws.jobs.put(*gone, *(f'{{"v": 1, "job": {number}}}' for number in range(k)))
    answer = aws.answer_jobs()

    assert k == len(answer["batchItemFailures"]) == aws.jobs.size()
    assert all("succeeded" == status(aws, job)["status"] for job in jobs)


def test_poison_ends_among_the_dead_letters(aws: Deployment) -> None:
    """What nobody can read is tried five times and then kept for whoever looks into it; the sweeper passes it over."""
    aws.jobs.put("not JSON", '{"v": 2, "job": "00000000000000000000000000000000"}')
    receives = 0
    while (answer := aws.answer_jobs()) is not None:
        receives += 1
        assert 2 == len(answer["batchItemFailures"])
        aws.set_clock(receives * (VISIBILITY_S + 1.0))

    assert 5 == receives
    assert 2 == aws.dead_jobs.size()
    assert (0, 0) == (aws.sweep()["failed"], aws.sweep()["errors"])


def test_a_job_whose_messages_failed_is_told_of(aws: Deployment) -> None:
    """Where no delivery reaches the worker the messages end among the dead letters, and after the third the sweeper fails the job."""
    job = submit(aws, [ROW])
    clock, receives, sent = 0.0, 0, 0
    while status(aws, job)["status"] == "queued":
        while aws.jobs.deliver(lambda event: {"errorType": "Runtime.ExitError", "errorMessage": "exit status 137"}) is not None:
            receives += 1
            clock += VISIBILITY_S + 1.0
            aws.set_clock(clock)
        sent += aws.sweep()["sent"]

    assert (20, 3) == (receives, sent)
    assert ("failed", "job-given-up") == (status(aws, job)["status"], status(aws, job)["error"]["code"])
    assert 4 == aws.dead_jobs.size()


def test_a_message_that_was_lost_is_sent_again(aws: Deployment) -> None:
    """The sweeper's event finds a job whose message never came, and the worker answers it."""
    job = submit(aws, [ROW])
    aws.jobs.clear()
    assert 0 == aws.sweep()["sent"]
    aws.set_clock(600.0)

    assert 1 == aws.sweep()["sent"]
    assert {"batchItemFailures": []} == aws.answer_jobs()
    assert "succeeded" == status(aws, job)["status"]


def test_a_worker_that_is_killed(aws: Deployment) -> None:
    """SIGKILL in the middle of a run: the invocation fails, the sweeper sends the job again, and the second attempt answers it."""
    job = submit(aws, {"times": 60_000}, "/models/slow/predict")
    answers: list[Any] = []
    # So that what is killed is a run and no start.
    assert {"warm": True} == aws.invoke("JobsWorker", {"warmup": True})
    (runtime,) = aws.runtimes("JobsWorker")
    delivery = threading.Thread(target=lambda: answers.append(aws.answer_jobs()))
    delivery.start()
    wait_for(lambda: status(aws, job)["status"] == "running", "the run")
    os.kill(runtime, signal.SIGKILL)
    delivery.join(30)

    assert not delivery.is_alive()
    assert ("running", 1, 1) == (status(aws, job)["status"], status(aws, job)["attempts"], aws.jobs.size())
    aws.set_clock(120.0)
    assert 1 == aws.sweep()["sent"]
    assert {"batchItemFailures": []} == aws.answer_jobs()
    assert ("succeeded", 2) == (status(aws, job)["status"], status(aws, job)["attempts"])
    # The first message comes back at last, and finds nothing to do.
    aws.set_clock(VISIBILITY_S + 1.0)
    assert {"batchItemFailures": []} == aws.answer_jobs()
    assert 2 == status(aws, job)["attempts"]
    assert 0 == aws.jobs.size()


def test_a_result_larger_than_an_answer(aws: Deployment) -> None:
    """A result that Lambda could not carry is answered with a link to the bucket that works."""
    job = submit(aws, [2_000_000], "/models/expand/predict")
    aws.answer_jobs()
    answer = aws.api.get(f"{job}/result")

    assert 303 == answer.status_code
    link = httpx.get(answer.headers["location"])
    assert (200, "application/json") == (link.status_code, link.headers["content-type"])
    assert 2_000_000 == len(link.json()["outputs"]["many"])


def test_an_upload_is_predicted_with(aws: Deployment) -> None:
    """A body that was uploaded to the bucket is referred to by a job, and predicted with."""
    body = json.dumps({"inputs": [ROW]}).encode()
    announced = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "content_type": "application/json"}
    upload = aws.api.post("/uploads", json=announced).json()
    wanted = upload["upload"]
    assert 200 == httpx.request(wanted["method"], wanted["url"], headers=wanted["headers"], content=body).status_code
    headers = {**LATER, "Content-Type": upload["reference_content_type"]}
    answer = aws.api.post("/predict", content=json.dumps(upload["reference"]), headers=headers)

    assert 202 == answer.status_code, answer.text
    aws.answer_jobs()
    assert [0] == aws.api.get(answer.headers["location"] + "/result").json()["outputs"]["output_label"]
    check_problem(aws.api.put("/uploads/abc"), 404, "unknown-path")


def test_a_key_is_answered_once(aws: Deployment) -> None:
    """The same Idempotency-Key gives the same job, and another body with it is refused."""
    key = {"Idempotency-Key": '"from-the-test"'}
    job = submit(aws, [ROW], **key)

    assert job == submit(aws, [ROW], **key)
    assert 1 == aws.jobs.size()
    check_problem(aws.api.post("/predict", json={"inputs": [ROW, ROW]}, headers={**LATER, **key}), 422, "idempotency-key-reused")


@pytest.mark.parametrize("missing", ["JOBS_TABLE", "JOBS_BUCKET", "JOBS_QUEUE_URL", "WEBHOOKS_QUEUE_URL"])
def test_a_missing_setting_fails_the_start(aws: Deployment, models: Path, missing: str) -> None:
    """Without a table, a bucket or a queue the function does not start, and says which it lacks."""
    with emulator(models, **{**aws.made.environment("JobsWorker"), missing: ""}) as invoke:
        answer = str(invoke({"warmup": True}))

    assert missing in answer
    assert "JOBS is 'aws'" in answer


def test_sqlite_fails_the_start(models: Path) -> None:
    """On Lambda jobs are not kept on a machine that ends: the function does not start, and says what to use."""
    with emulator(models, JOBS="sqlite") as invoke:
        answer = str(invoke({"warmup": True}))

    assert "JOBS is 'sqlite'" in answer
    assert "JOBS=aws" in answer
