"""``Idempotency-Key``: the same request is answered once, now or later, and its answer repeated."""

import gzip
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.http.message import Response
from app.jobs.reservation import Reservation, reservation_id
from app.prediction import Predictor
from tests.http.jobs_by_hand import LATER, SETOSA, ByHand
from tests.http.test_async import ASKED, comparable, ended
from tests.problems import check_problem
from tests.shells import server, tenants

BODY = {"inputs": [SETOSA]}
KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
DAY_S = 86_400.0


def of(answer: Response) -> tuple[int, bytes, str]:
    return answer.status, answer.body, answer.content_type


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["code"]


@pytest.mark.parametrize("kind", ["json", "csv", "npy", "binary-tensors", "embeddings", "sagemaker", "refused", "refused-sagemaker"])
def test_the_same_answer(jobs_http: httpx.Client, kind: str) -> None:
    """A repeated call has the status, bytes and header fields of the first, an error of the request too, and says that it is repeated."""
    path, body, headers = ASKED[kind]
    key = {"idempotency-key": f"same-{kind}"}
    first = jobs_http.post(path, content=body, headers=headers | key)
    second = jobs_http.post(path, content=body, headers=headers | key)
    status, content, fields = comparable(second)

    assert "idempotency-replayed" not in first.headers
    assert "true" == fields.pop("idempotency-replayed")
    assert comparable(first) == (status, content, fields)


def test_the_model_runs_once(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call is answered without the model."""
    first = by_hand.ask("POST", "/predict", BODY, **KEY)
    monkeypatch.setattr(Predictor, "answer", lambda *_: pytest.fail("the model was asked again"))

    assert of(first) == of(by_hand.ask("POST", "/predict", BODY, **KEY))


def test_the_same_job(jobs_http: httpx.Client) -> None:
    """A repeated submit is answered by the first one's job, finished or not."""
    headers = LATER | {"idempotency-key": "the-same-job"}
    first, second = (jobs_http.post("/predict", json=BODY, headers=headers) for _ in range(2))
    ended(jobs_http, first.headers["location"])
    third = jobs_http.post("/predict", json=BODY, headers=headers)

    assert [202] * 3 == [answer.status_code for answer in (first, second, third)]
    assert first.json()["id"] == second.json()["id"] == third.json()["id"]
    assert [None, "true", "true"] == [answer.headers.get("idempotency-replayed") for answer in (first, second, third)]
    assert "succeeded" == third.json()["status"]


def test_a_job_asked_for_again_without_prefer(by_hand: ByHand) -> None:
    """The key of a job, without Prefer: 409 as long as it runs, then the job's result; never a 202."""
    job_id = by_hand.submit(**KEY)
    running = by_hand.ask("POST", "/predict", BODY, **KEY)
    by_hand.work(job_id)
    done = by_hand.ask("POST", "/predict", BODY, **KEY)

    assert (409, "idempotency-key-in-use", "1") == (*code_of(running), running.headers["Retry-After"])
    assert of(by_hand.ask("POST", "/predict", BODY)) == of(done)


def test_an_answer_asked_for_again_with_prefer(by_hand: ByHand) -> None:
    """The key of a synchronous answer, with Prefer: that answer, and no job."""
    first = by_hand.ask("POST", "/predict", BODY, **KEY)

    assert of(first) == of(by_hand.ask("POST", "/predict", BODY, **KEY, **LATER))
    assert [] == json.loads(by_hand.ask("GET", "/jobs").body)["jobs"]


@pytest.mark.parametrize("later", [{}, LATER], ids=["now", "later"])
@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/predict", {"inputs": [[1, 2, 3, 4]]}, {}),
        ("/models/iris/predict", BODY, {}),
        ("/predict?outputs=output_label", BODY, {}),
        ("/predict", BODY, {"accept": "text/csv"}),
        ("/predict", BODY, {"content_type": "application/json;charset=utf-8"}),
        ("/predict", BODY, {**LATER, "webhook_url": "https://hooks.test/x"}),
    ],
)
def test_another_request(by_hand: ByHand, later: dict[str, str], path: str, body: Any, headers: dict[str, str]) -> None:
    """Another body, path, query, format or webhook under a key that was used is refused, and is not run."""
    by_hand.ask("POST", "/predict", BODY, **KEY, **later)
    kept = by_hand.kept()

    assert (422, "idempotency-key-reused") == code_of(by_hand.ask("POST", path, body, **{**KEY, **later, **headers}))
    assert kept == by_hand.kept()


def test_the_same_body_in_another_coding(by_hand: ByHand) -> None:
    """A body that is compressed is the body that it holds."""
    content = json.dumps(BODY).encode()
    first = by_hand.ask("POST", "/predict", content, **KEY)

    assert of(first) == of(by_hand.ask("POST", "/predict", gzip.compress(content), content_encoding="gzip", **KEY))


def test_callers_are_apart(models: Path, tmp_path: Path) -> None:
    """The same key of another caller is another key: neither answer nor refusal tells of the first."""
    with tenants(models, fast_lane=True, JOBS="sqlite", JOBS_DIR=str(tmp_path)) as client_of:
        one, other, nobody = client_of("one"), client_of("other"), client_of("")
        assert 200 == one.post("/predict", json=BODY, headers=KEY).status_code
        for stranger, row in ((other, [1, 2, 3, 4]), (nobody, [4, 3, 2, 1])):
            answer = stranger.post("/predict", json={"inputs": [row]}, headers=KEY)

            assert 200 == answer.status_code
            assert "idempotency-replayed" not in answer.headers
        assert 422 == one.post("/predict", json={"inputs": [[1, 2, 3, 4]]}, headers=KEY).status_code


def test_still_running(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first call runs, a second one is told 409 and when to come again; then it gets the first one's answer."""
    answer, seen = Predictor.answer, []

    def answer_slowly(predictor: Predictor, *arguments: Any) -> Any:
        seen.extend(by_hand.ask("POST", "/predict", BODY, **KEY, **prefer) for prefer in ({}, LATER))
        return answer(predictor, *arguments)

    monkeypatch.setattr(Predictor, "answer", answer_slowly)
    first = by_hand.ask("POST", "/predict", BODY, **KEY)

    assert [(409, "idempotency-key-in-use")] * 2 == [code_of(one) for one in seen]
    assert ["1", "1"] == [one.headers["Retry-After"] for one in seen]
    assert (200, of(first)) == (first.status, of(by_hand.ask("POST", "/predict", BODY, **KEY)))


def test_whoever_dies_frees_the_key(by_hand: ByHand) -> None:
    """A key whose call never came back can be taken again after the call's time is over."""
    from app.jobs.idempotency import Idempotency, Key

    by_hand.ask("POST", "/predict", BODY, **KEY)
    kept = by_hand.parts.stores.backend.read(Reservation, reservation_id("", KEY["idempotency-key"]))
    assert kept is not None
    Idempotency(by_hand.parts.stores).begin(Key("", "dead", kept.fingerprint), 60)
    dead = {"idempotency-key": "dead"}
    assert 409 == by_hand.ask("POST", "/predict", BODY, **dead).status
    by_hand.clock.advance(60)

    assert 200 == by_hand.ask("POST", "/predict", BODY, **dead).status


@pytest.mark.parametrize("later", [{}, LATER], ids=["now", "later"])
def test_a_key_lasts_a_day(by_hand: ByHand, later: dict[str, str]) -> None:
    """A key is kept for 24 h and free after that, for any request."""
    by_hand.ask("POST", "/predict", BODY, **KEY, **later)
    by_hand.clock.advance(DAY_S - 1)
    other = {"inputs": [[1, 2, 3, 4]]}
    assert 422 == by_hand.ask("POST", "/predict", other, **KEY, **later).status
    by_hand.clock.advance(1)
    answer = by_hand.ask("POST", "/predict", other, **KEY, **later)

    assert (202 if later else 200) == answer.status
    assert "Idempotency-Replayed" not in answer.headers


def test_a_job_that_is_forgotten_before_its_key(models: Path, tmp_path: Path) -> None:
    """Where jobs are kept for less than a day, a repeated submit is told so, and is not run again."""
    with ByHand.of(models, tmp_path, JOB_RETENTION_S="60") as by_hand:
        by_hand.work(by_hand.submit(**KEY))
        by_hand.clock.advance(61)
        answer = by_hand.ask("POST", "/predict", BODY, **KEY, **LATER)

        assert (404, "unknown-job") == code_of(answer)
        assert b"make a new key" in answer.body


@pytest.mark.parametrize("kind", ["deadline", "not-ready", "unexpected"])
def test_a_failure_that_may_pass_is_not_kept(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """What may go well next time is tried again under the same key."""
    from app.errors import DeadlineExceeded, ModelNotReady

    failures = {"deadline": DeadlineExceeded("late"), "not-ready": ModelNotReady("soon"), "unexpected": ZeroDivisionError()}

    def fail(*_: Any) -> None:
        raise failures[kind]

    with monkeypatch.context() as broken:
        broken.setattr(Predictor, "answer", fail)
        assert by_hand.ask("POST", "/predict", BODY, **KEY).status >= 500

    assert 200 == by_hand.ask("POST", "/predict", BODY, **KEY).status


def test_an_answer_that_cannot_be_kept(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller gets his answer also where it cannot be kept for a repetition."""
    from app.errors import StoreUnavailable

    def fail(*_: Any) -> None:
        raise StoreUnavailable("full")

    monkeypatch.setattr(by_hand.parts.stores.storage, "put", fail)

    assert 200 == by_hand.ask("POST", "/predict", BODY, **KEY).status


def test_an_answer_that_is_gone(by_hand: ByHand) -> None:
    """An answer that is not where it was kept is never made anew under its key; what helps is told, and not to come again."""
    by_hand.ask("POST", "/predict", BODY, **KEY)
    by_hand.parts.stores.storage.delete(by_hand.stored("answers/")[0])
    answer = by_hand.ask("POST", "/predict", BODY, **KEY)

    assert (503, "store-unavailable", False) == (*code_of(answer), "Retry-After" in answer.headers)
    assert b"under a new Idempotency-Key" in answer.body


@pytest.mark.parametrize(("first", "second"), [('"a"', "a"), ("a", '"a"'), (' "a" ', "a"), ('"', '"'), ("!~", '"!~"')])
def test_quotes(by_hand: ByHand, first: str, second: str) -> None:
    """A key in quotes, as the draft writes it, is the bare one that most clients send."""
    by_hand.ask("POST", "/predict", BODY, idempotency_key=first)

    assert "true" == by_hand.ask("POST", "/predict", BODY, idempotency_key=second).headers["Idempotency-Replayed"]


@pytest.mark.parametrize("key", ["", '""', "   ", "x" * 256, "é", "a\tb", "\x7f", "a b", '"a b"', '" a"'])
@pytest.mark.parametrize("later", [{}, LATER], ids=["now", "later"])
def test_bad_keys(by_hand: ByHand, key: str, later: dict[str, str]) -> None:
    """What is no key is refused with what is taken, and nothing is run."""
    answer = by_hand.ask("POST", "/predict", BODY, idempotency_key=key, **later)

    assert (400, "unreadable-request") == code_of(answer)
    assert b"1 to 255" in answer.body
    assert (0, []) == by_hand.kept()


def test_the_longest_key(by_hand: ByHand) -> None:
    """255 characters are a key."""
    assert 200 == by_hand.ask("POST", "/predict", BODY, idempotency_key="x" * 255).status


def test_a_refused_submit_leaves_the_key_free(by_hand: ByHand) -> None:
    """A request that is refused at submit has not used its key."""
    assert 422 == by_hand.ask("POST", "/predict", {"inputs": [[1]]}, **KEY, **LATER).status

    assert 202 == by_hand.ask("POST", "/predict", BODY, **KEY, **LATER).status


def test_a_key_that_is_taken_between_look_and_write(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two submits at once, of which the second wins: the first answers the second one's job and leaves nothing behind."""
    check, others = Predictor.check, []

    def check_and_lose(predictor: Predictor, *arguments: Any) -> Any:
        monkeypatch.setattr(Predictor, "check", check)
        others.append(by_hand.submit(**KEY))
        return check(predictor, *arguments)

    monkeypatch.setattr(Predictor, "check", check_and_lose)

    assert [by_hand.submit(**KEY)] == others
    assert 1 == len(by_hand.stored("payloads/"))


def test_a_thousand_at_once(models: Path, tmp_path: Path) -> None:
    """A thousand submits under one key, from 32 connections: one job, which all of them are answered."""
    with server(models, fast_lane=True, JOBS_DIR=str(tmp_path)) as client:
        url, limits = str(client.base_url), httpx.Limits(max_connections=32)
        with httpx.Client(base_url=url, limits=limits, timeout=120) as shared, ThreadPoolExecutor(32) as threads:
            together = threading.Barrier(32)

            def submit(number: int) -> httpx.Response:
                if number < 32:
                    together.wait(60)
                until = time.monotonic() + 60
                while True:
                    answer = shared.post("/predict", json=BODY, headers=LATER | KEY)
                    if answer.status_code != 409 or time.monotonic() > until:
                        return answer

            answers = list(threads.map(submit, range(1000)))

        assert {202: 1000} == Counter(answer.status_code for answer in answers)
        ids = {answer.json()["id"] for answer in answers}
        assert 1 == len(ids)
        assert list(ids) == [job["id"] for job in client.get("/jobs").json()["jobs"]]
        assert 999 == sum("idempotency-replayed" in answer.headers for answer in answers)
        assert "succeeded" == ended(client, f"/jobs/{ids.pop()}")["status"]


def test_a_key_on_what_is_no_prediction(jobs_http: httpx.Client) -> None:
    """Other routes pass the key over, and a prediction that is refused names its own mistake."""
    assert 200 == jobs_http.get("/models", headers=KEY).status_code
    check_problem(jobs_http.post("/models/ghost/predict", json=BODY, headers={"idempotency-key": "ghost"}), 404, "unknown-model")
