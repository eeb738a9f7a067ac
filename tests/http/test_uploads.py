"""Bodies that are uploaded first: announce, send, and predict with the reference."""

import base64
import hashlib
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from app.http.message import Response
from tests.http.jobs_by_hand import LATER, SETOSA, ByHand
from tests.http.test_async import ASKED, comparable, ended
from tests.problems import check_problem
from tests.shells import server, tenants

REFERENCE = "application/vnd.onnx-lambda.reference+json"
BODY = orjson.dumps({"inputs": [SETOSA]})
HOUR_S = 3600.0


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def announced(http: httpx.Client, body: bytes, content_type: str = "application/json") -> dict[str, Any]:
    answer = http.post("/uploads", json={"bytes": len(body), "sha256": sha256(body), "content_type": content_type})
    assert 201 == answer.status_code, answer.text
    found: dict[str, Any] = answer.json()
    return found


def uploaded(http: httpx.Client, body: bytes, content_type: str = "application/json") -> dict[str, Any]:
    """The reference to bytes that were announced and sent as was answered."""
    found = announced(http, body, content_type)
    upload = found["upload"]
    assert 200 == http.request(upload["method"], upload["url"], content=body, headers=upload["headers"]).status_code
    return dict(found["reference"])


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["code"]


def announce(by_hand: ByHand, body: bytes = BODY, **fields: Any) -> dict[str, Any]:
    answer = by_hand.ask("POST", "/uploads", {"bytes": len(body), "sha256": sha256(body)} | fields)
    assert 201 == answer.status, answer.body
    return dict(json.loads(answer.body))


# An open inference request in binary names the length of its JSON in a header field, which stays with the request.
KINDS = ["json", "csv", "npy", "image", "open-inference", "binary-tensors", "tensorflow-serving", "embeddings", "sagemaker-csv", "refused"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_is_its_body(jobs_http: httpx.Client, kind: str) -> None:
    """The reference in place of the body gets the same answer, at once, as a job, and as the job's result."""
    path, body, headers = ASKED[kind]
    expected = jobs_http.post(path, content=body, headers=headers)
    reference = json.dumps(uploaded(jobs_http, body, headers.get("content-type", "application/json")))
    headers = headers | {"content-type": REFERENCE}
    now = jobs_http.post(path, content=reference, headers=headers)
    later = jobs_http.post(path, content=reference, headers=headers | LATER)
    assert 202 == later.status_code, later.text
    ended(jobs_http, later.headers["location"])
    result = jobs_http.get(later.headers["location"] + "/result")

    assert comparable(expected) == comparable(now) == comparable(result)


def test_an_upload_as_it_is_announced(jobs_http: httpx.Client) -> None:
    """The announcement is answered by one request to send, the reference, and until when both hold."""
    answer = jobs_http.post("/uploads", json={"bytes": 3, "sha256": base64.b64encode(hashlib.sha256(b"abc").digest()).decode()})
    found = answer.json()

    assert (201, "no-store", REFERENCE) == (answer.status_code, answer.headers["cache-control"], found["reference_content_type"])
    assert {"upload": found["reference"]["upload"], "sha256": sha256(b"abc"), "content_type": "application/json"} == found["reference"]
    assert "PUT" == found["upload"]["method"]
    assert found["upload"]["expires"] < found["expires"]


@pytest.mark.parametrize(
    ("announcement", "pointer"),
    [
        (b"", ""),
        (b"[]", ""),
        (b'{"bytes": 1, "sha256": "x", "more": 1}', ""),
        (b"{}", "/sha256"),
        (b'{"bytes": 1}', "/sha256"),
        (b'{"bytes": 1, "sha256": 7}', "/sha256"),
        (b'{"bytes": 1, "sha256": "00"}', "/sha256"),
        (b'{"bytes": 1, "sha256": "%s"}' % (b" " * 64), "/sha256"),
        (b'{"bytes": 1, "sha256": "%s"}' % ("é" * 32).encode(), "/sha256"),
        (b'{"bytes": 0, "sha256": "%s"}' % (b"0" * 64), "/bytes"),
        (b'{"bytes": true, "sha256": "%s"}' % (b"0" * 64), "/bytes"),
        (b'{"bytes": 1.5, "sha256": "%s"}' % (b"0" * 64), "/bytes"),
        (b'{"bytes": 1, "sha256": "%s", "content_type": "a\\nb"}' % (b"0" * 64), "/content_type"),
        (b'{"bytes": 1, "sha256": "%s", "content_type": null}' % (b"0" * 64), "/content_type"),
    ],
)
def test_announcements_that_are_none(by_hand: ByHand, announcement: bytes, pointer: str) -> None:
    """What does not announce an upload is refused at its place, with what is taken."""
    answer = by_hand.ask("POST", "/uploads", announcement)

    assert (422, "upload-refused", pointer) == (*code_of(answer), json.loads(answer.body)["pointer"])


def test_other_bytes_are_refused(by_hand: ByHand) -> None:
    """Fewer bytes, more, or others than were announced are refused, and nothing is kept."""
    url = announce(by_hand)["upload"]["url"]
    for body in (BODY[:-1], BODY + b" ", b"x" * len(BODY), b""):
        answer = by_hand.ask("PUT", url, body)

        assert (422, "upload-refused") == code_of(answer)
        assert str(len(BODY)).encode() in answer.body
    assert [] == by_hand.stored()


def test_addresses_that_are_changed(by_hand: ByHand) -> None:
    """An address is taken as it was answered, for its time, and for nothing else."""
    url = announce(by_hand)["upload"]["url"]
    path, _, query = url.partition("?")
    other = announce(by_hand, b"other")["upload"]["url"].partition("?")[0]
    changed = [
        path,
        f"{other}?{query}",
        url.replace("size=", "size=1"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.replace("/uploads/", "/uploads/x"),
    ]
    for wrong in changed:
        assert (404, "unknown-path") == code_of(by_hand.ask("PUT", wrong, BODY)), wrong
    assert 404 == by_hand.ask("GET", url.replace("/uploads/", "/downloads/")).status
    by_hand.clock.advance(901)

    assert (404, "unknown-path") == code_of(by_hand.ask("PUT", url, BODY))
    assert [] == by_hand.stored()


def test_an_upload_twice(by_hand: ByHand) -> None:
    """Who is not sure that the bytes arrived sends them again."""
    found = announce(by_hand)

    assert [200, 200] == [by_hand.ask("PUT", found["upload"]["url"], BODY).status for _ in range(2)]
    assert 200 == by_hand.ask("POST", "/predict", found["reference"], content_type=REFERENCE).status


def test_too_large(models: Path, tmp_path: Path) -> None:
    """An upload over MAX_UPLOAD_BYTES is refused when it is announced."""
    with ByHand.of(models, tmp_path, MAX_UPLOAD_BYTES="1000") as by_hand:
        answer = by_hand.ask("POST", "/uploads", {"bytes": 1001, "sha256": "0" * 64})

        assert (413, "body-too-large") == code_of(answer)
        assert b"MAX_UPLOAD_BYTES" in answer.body
        assert 201 == by_hand.ask("POST", "/uploads", {"bytes": 1000, "sha256": "0" * 64}).status


@pytest.mark.parametrize("later", [{}, LATER], ids=["now", "later"])
@pytest.mark.parametrize(
    ("reference", "status", "code"),
    [
        (b"", 400, "unreadable-json"),
        (b"[]", 422, "invalid-request"),
        (b'{"upload": 7}', 422, "invalid-request"),
        (b'{"upload": "x", "sha256": "%s"}' % (b"0" * 64), 404, "unknown-upload"),
        (b'{"upload": "%s", "sha256": "%s"}' % (b"0" * 32, b"0" * 64), 404, "unknown-upload"),
        (b'{"upload": "../%s", "sha256": "%s"}' % (b"0" * 29, b"0" * 64), 404, "unknown-upload"),
        (b'{"upload": "%s"}' % (b"0" * 32), 422, "upload-refused"),
        (b'{"upload": "%s", "sha256": "%s", "content_type": 5}' % (b"0" * 32, b"0" * 64), 422, "upload-refused"),
        (b'{"upload": "%s", "sha256": "%s", "content_type": null}' % (b"0" * 32, b"0" * 64), 422, "upload-refused"),
        (b'{"upload": "%s", "sha256": "%s", "content_type": "a\\nb"}' % (b"0" * 32, b"0" * 64), 422, "upload-refused"),
    ],
)
def test_references_that_are_none(by_hand: ByHand, later: dict[str, str], reference: bytes, status: int, code: str) -> None:
    """What refers to nothing is refused, and nothing is kept."""
    assert (status, code) == code_of(by_hand.ask("POST", "/predict", reference, content_type=REFERENCE, **later))
    assert (0, []) == by_hand.kept()


def test_a_reference_with_another_digest(by_hand: ByHand) -> None:
    """A reference names its bytes by their digest too."""
    found = announce(by_hand)
    by_hand.ask("PUT", found["upload"]["url"], BODY)
    answer = by_hand.ask("POST", "/predict", found["reference"] | {"sha256": "0" * 64}, content_type=REFERENCE)

    assert (422, "upload-refused") == code_of(answer)


def test_a_reference_before_its_upload(by_hand: ByHand) -> None:
    """A reference whose bytes have not come yet is told what to do."""
    answer = by_hand.ask("POST", "/predict", announce(by_hand)["reference"], content_type=REFERENCE)

    assert (404, "unknown-upload") == code_of(answer)
    assert b"POST /uploads" in answer.body


def test_an_upload_belongs_to_its_caller(models: Path, tmp_path: Path) -> None:
    """Another caller's reference is answered as one that nobody has."""
    with tenants(models, fast_lane=True, JOBS="sqlite", JOBS_DIR=str(tmp_path)) as client_of:
        owner = client_of("owner")
        reference = uploaded(owner, BODY)
        headers = {"content-type": REFERENCE, "x-request-id": "one"}
        for stranger in (client_of("other"), client_of("")):
            for prefer in ({}, LATER):
                found, missing = (
                    stranger.post("/predict", json=reference | {"upload": name}, headers=headers | prefer)
                    for name in (reference["upload"], "0" * 32)
                )

                assert 404 == missing.status_code
                assert (missing.status_code, missing.content, missing.headers) == (found.status_code, found.content, found.headers)
        assert 200 == owner.post("/predict", json=reference, headers=headers).status_code


def test_a_job_outlives_its_upload(by_hand: ByHand) -> None:
    """A job has bytes of its own: that the upload is deleted before it runs changes nothing."""
    found = announce(by_hand)
    by_hand.ask("PUT", found["upload"]["url"], BODY)
    job_id = by_hand.submit(found["reference"], content_type=REFERENCE)
    (upload,) = by_hand.stored("uploads/")
    by_hand.parts.stores.storage.delete(upload)
    by_hand.work(job_id)

    assert "succeeded" == by_hand.job(job_id).status


@pytest.mark.parametrize("later", [{}, LATER], ids=["now", "later"])
def test_a_key_outlives_its_upload(by_hand: ByHand, later: dict[str, str]) -> None:
    """A request that is repeated under its key is answered though its upload is gone."""
    found = announce(by_hand)
    by_hand.ask("PUT", found["upload"]["url"], BODY)
    fields = {"content_type": REFERENCE, "idempotency_key": "k", **later}
    first = by_hand.ask("POST", "/predict", found["reference"], **fields)
    by_hand.parts.stores.storage.delete(by_hand.stored("uploads/")[0])
    second = by_hand.ask("POST", "/predict", found["reference"], **fields)

    assert (first.status, first.body) == (second.status, second.body)
    assert (202 if later else 200) == first.status


def test_a_body_over_the_limit_goes_by_reference(models: Path, tmp_path: Path) -> None:
    """What is larger than MAX_BODY_BYTES is predicted from an upload; a result over MAX_RESULT_BYTES says to ask for a job."""
    body = orjson.dumps({"inputs": [1.5] * 1000})
    with ByHand.of(models, tmp_path, MAX_BODY_BYTES="1000", MAX_RESULT_BYTES="1000") as by_hand:
        assert 413 == by_hand.ask("POST", "/models/identity-float/predict", body).status
        found = announce(by_hand, body)
        by_hand.ask("PUT", found["upload"]["url"], body)
        answer = by_hand.ask("POST", "/models/identity-float/predict", found["reference"], content_type=REFERENCE)
        assert (413, "result-too-large") == code_of(answer)
        assert b"respond-async" in answer.body
        job_id = by_hand.submit(found["reference"], "/models/identity-float/predict", content_type=REFERENCE)
        by_hand.work(job_id)

        assert 303 == by_hand.ask("GET", f"/jobs/{job_id}/result").status


@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_server_takes_an_upload_over_its_limit(models: Path, tmp_path: Path, *, fast_lane: bool) -> None:
    """An upload may be larger than a request's body may be, and only as large as it was announced; no stranger's byte is read."""
    values = np.zeros(500_000, np.float32)
    file = io.BytesIO()
    np.save(file, values)
    body = file.getvalue()
    with server(models, fast_lane=fast_lane, JOBS_DIR=str(tmp_path), MAX_BODY_BYTES="100000", REQUEST_TIMEOUT_S="5") as client:
        reference = uploaded(client, body, "application/x-npy")
        headers = {"content-type": REFERENCE, "accept": "application/x-npy"} | LATER
        location = client.post("/models/identity-float/predict", json=reference, headers=headers).headers["location"]
        assert "succeeded" == ended(client, location)["status"]
        np.testing.assert_array_equal(values, np.load(io.BytesIO(client.get(f"{location}/result", follow_redirects=True).content)))

        url = announced(client, body)["upload"]["url"]
        assert f"{len(body)} were announced" in check_problem(client.put(url, content=body + b"x"), 413, "body-too-large")["detail"]
        endless = (b"x" * 65_536 for _ in range(100))
        check_problem(client.put(url, content=endless), 413, "body-too-large")
        check_problem(client.put("/uploads/x", content=b"x" * 200_000), 404, "unknown-path")


def test_an_upload_is_copied_once(by_hand: ByHand) -> None:
    """Keeping an upload takes no second copy of it in memory."""
    body = b"x" * 20_000_000
    url = announce(by_hand, body)["upload"]["url"]
    tracemalloc.start()
    try:
        assert 200 == by_hand.ask("PUT", url, body).status
        assert tracemalloc.get_traced_memory()[1] < len(body) / 2
    finally:
        tracemalloc.stop()
