"""Jobs over HTTP: look, list, read the result, cancel."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import StoreUnavailable
from app.http.message import Response
from tests.http.jobs_by_hand import LATER, SETOSA, ByHand
from tests.http.test_async import ended
from tests.lambda_events import v2
from tests.problems import check_problem
from tests.shells import Context, in_process, tenants

SLOW = "/models/slow/predict"
DAY_S = 86_400.0


def problem_of(answer: Response) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["code"]


def as_it_ended(by_hand: ByHand, state: str) -> str:
    """A job in this state."""
    job_id = by_hand.submit({"inputs": [99]} if state == "failed" else {"inputs": [1]}, "/models/pick/predict")
    if state in {"succeeded", "failed"}:
        by_hand.work(job_id)
    elif state == "running":
        by_hand.change(job_id, status="running", attempt=1, lease_until=by_hand.clock() + 60)
    elif state == "cancelled":
        assert 200 == by_hand.ask("DELETE", f"/jobs/{job_id}").status
    elif state == "expired":
        by_hand.clock.advance(DAY_S)
    return job_id


@pytest.mark.parametrize(
    ("state", "cancelled", "result"),
    [
        ("queued", 200, (409, "job-unfinished")),
        ("running", 200, (409, "job-unfinished")),
        ("succeeded", (409, "job-finished"), 200),
        ("failed", (409, "job-finished"), (422, "input-refused-by-model")),
        ("cancelled", 200, (409, "job-cancelled")),
        ("expired", (409, "job-finished"), (410, "job-expired")),
    ],
)
def test_every_state(by_hand: ByHand, state: str, cancelled: Any, result: Any) -> None:
    """Each state is told; what has not ended can be cancelled, also twice, and has no result yet; what has ended never changes."""
    job_id = as_it_ended(by_hand, state)
    shown = by_hand.ask("GET", f"/jobs/{job_id}")
    given = by_hand.ask("GET", f"/jobs/{job_id}/result")
    answer = by_hand.ask("DELETE", f"/jobs/{job_id}")
    listed = json.loads(by_hand.ask("GET", "/jobs").body)["jobs"]

    assert state == json.loads(shown.body)["status"]
    assert ("no-store", state in {"queued", "running"}) == (shown.headers["Cache-Control"], "Retry-After" in shown.headers)
    assert result == (given.status if given.status == 200 else problem_of(given))
    assert ("Retry-After" in given.headers) == (result == (409, "job-unfinished"))
    assert cancelled == (answer.status if answer.status == 200 else problem_of(answer))
    assert ["cancelled" if answer.status == 200 else state] == [job["status"] for job in listed]
    again = by_hand.ask("DELETE", f"/jobs/{job_id}")
    assert (answer.status, "Retry-After" in answer.headers) == (again.status, False)
    assert answer.status == 409 or answer.body == again.body


def test_a_failed_job_tells_why(by_hand: ByHand) -> None:
    """The job's error is the error object of the synchronous call, with the job's id for the request's."""
    job_id = as_it_ended(by_hand, "failed")
    error = json.loads(by_hand.ask("GET", f"/jobs/{job_id}").body)["error"]
    expected = json.loads(by_hand.ask("POST", "/models/pick/predict", {"inputs": [99]}).body)

    assert expected | {"request_id": job_id} == error


@pytest.mark.parametrize("path", ["/models/nan-error/predict", "/v2/models/nan-error/infer", "/v1/models/nan-error:predict"])
def test_a_failure_has_the_shape_of_its_route(by_hand: ByHand, path: str) -> None:
    """The result of a failed job is the error of the synchronous call, whatever the dialect."""
    tensor = {"name": "x", "shape": [1], "datatype": "FP32", "data": [0]}
    body = {"inputs": [tensor]} if path.startswith("/v2") else {"inputs": [0]}
    expected = by_hand.ask("POST", path, body, x_request_id="one")
    job_id = by_hand.submit(body, path)
    by_hand.work(job_id)
    found = by_hand.ask("GET", f"/jobs/{job_id}/result", x_request_id="one")

    assert 422 == expected.status
    assert (expected.status, expected.body, expected.content_type) == (found.status, found.body, found.content_type)


def test_a_failure_in_openai_s_shape(by_hand: ByHand) -> None:
    """A failed job of the embeddings route has the error that OpenAI's clients read, 400 for what was read and refused."""
    job_id = by_hand.submit({"model": "text-embedding", "input": "hello"}, "/v1/embeddings")
    refused = {
        "detail": "no",
        "status": 422,
        "code": "input-refused-by-model",
        "title": "The model refuses this input",
        "pointer": "/input",
    }
    by_hand.change(job_id, status="failed", error=refused, finished=by_hand.clock())
    found = by_hand.ask("GET", f"/jobs/{job_id}/result")

    assert 400 == found.status
    assert {"error": {"message": "no", "type": "invalid_request_error", "param": "input", "code": "input-refused-by-model"}} == json.loads(
        found.body
    )


@pytest.mark.parametrize("then", ["finished-first", "cancelled-first", "cancelled-between"])
def test_cancel_beside_a_worker(by_hand: ByHand, then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends a job first ends it: a cancel during the run discards the answer, one after it is refused, a second is the first."""
    job_id = by_hand.submit()
    if then == "cancelled-between":
        put = by_hand.parts.stores.storage.put

        def cancel_and_put(key: str, body: bytes) -> str:
            assert 200 == by_hand.ask("DELETE", f"/jobs/{job_id}").status
            return put(key, body)

        monkeypatch.setattr(by_hand.parts.stores.storage, "put", cancel_and_put)
    if then == "cancelled-first":
        by_hand.ask("DELETE", f"/jobs/{job_id}")
    assert [] == by_hand.work(job_id)
    late = by_hand.ask("DELETE", f"/jobs/{job_id}")

    expected = "succeeded" if then == "finished-first" else "cancelled"
    assert (expected, 409 if expected == "succeeded" else 200) == (by_hand.job(job_id).status, late.status)
    assert (1 if expected == "succeeded" else 0) == len(by_hand.stored("results/"))


def test_a_cancelled_job_that_runs(jobs_http: httpx.Client) -> None:
    """Through every shell: a job that runs is cancelled, stays so, and a second cancel is answered as the first."""
    location = jobs_http.post(SLOW, json={"inputs": 3_000_000}, headers=LATER).headers["location"]
    answer = jobs_http.delete(location)

    assert (200, "cancelled") == (answer.status_code, answer.json()["status"])
    again = jobs_http.delete(location)
    assert (200, answer.json()) == (again.status_code, again.json())
    check_problem(jobs_http.get(f"{location}/result"), 409, "job-cancelled")
    assert "cancelled" == jobs_http.get(location).json()["status"]


def test_head(jobs_http: httpx.Client) -> None:
    """HEAD has the header fields of GET and no body."""
    location = jobs_http.post("/predict", json={"inputs": [SETOSA]}, headers=LATER).headers["location"]
    ended(jobs_http, location)
    for path in ("/jobs", location, f"{location}/result", f"{location}/deliveries"):
        got, head = jobs_http.get(path), jobs_http.head(path)

        assert (got.status_code, b"") == (head.status_code, head.content)
        # Gateways count a GET's bytes themselves.
        assert set(got.headers) - {"content-length"} == set(head.headers) - {"content-length"}
        assert str(len(got.content)) == head.headers.get("content-length", str(len(got.content)))


@pytest.mark.parametrize("job_id", ["0" * 32, "x", "0" * 31, "A" * 32, "..%5C", "é", "0" * 5000])
def test_unknown_jobs(jobs_http: httpx.Client, job_id: str) -> None:
    """What is no id is answered as an id that nobody has."""
    for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/result"), ("GET", "/deliveries")):
        problem = check_problem(jobs_http.request(method, f"/jobs/{job_id}{tail}"), 404, "unknown-job")

        assert "There is no job of this id." == problem["detail"]


def test_pages(by_hand: ByHand) -> None:
    """The caller's own jobs come newest first, page by page, and jobs that are submitted meanwhile move no page."""
    ids = []
    for _ in range(5):
        ids.append(by_hand.submit(caller="a"))
        by_hand.submit(caller="b")
        by_hand.clock.advance(0.001)
    first = json.loads(by_hand.ask("GET", "/jobs?limit=2", caller="a").body)
    newer = by_hand.submit(caller="a")
    second = json.loads(by_hand.ask("GET", f"/jobs?limit=2&after={first['next']}", caller="a").body)
    third = json.loads(by_hand.ask("GET", f"/jobs?limit=2&after={second['next']}", caller="a").body)
    pages = [[job["id"] for job in page["jobs"]] for page in (first, second, third)]

    assert [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]] == pages
    assert third["next"] is None
    assert [newer, *reversed(ids)] == [job["id"] for job in json.loads(by_hand.ask("GET", "/jobs", caller="a").body)["jobs"]]
    assert {"jobs": [], "next": None} == json.loads(by_hand.ask("GET", "/jobs", caller="c").body)
    # A mark of somebody else's page shows nothing of his.
    assert set(ids) | {newer} >= {
        job["id"] for job in json.loads(by_hand.ask("GET", f"/jobs?after={first['next']}", caller="a").body)["jobs"]
    }
    assert [] == json.loads(by_hand.ask("GET", f"/jobs?after={first['next']}", caller="c").body)["jobs"]


def test_forgotten_jobs_are_not_listed(by_hand: ByHand) -> None:
    """A job whose time is over is gone from its address and from the list, though the sweeper has not come yet; pages go on after it."""
    old = by_hand.submit()
    by_hand.work(old)
    by_hand.clock.advance(DAY_S - 10)
    new = by_hand.submit()
    assert [new, old] == [job["id"] for job in json.loads(by_hand.ask("GET", "/jobs").body)["jobs"]]
    by_hand.clock.advance(10)

    assert [new] == [job["id"] for job in json.loads(by_hand.ask("GET", "/jobs").body)["jobs"]]
    for method, tail in (("GET", ""), ("GET", "/result"), ("DELETE", "")):
        assert (404, "unknown-job") == problem_of(by_hand.ask(method, f"/jobs/{old}{tail}"))


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "1 to 100"),
        ("limit=101", "1 to 100"),
        ("limit=-1", "1 to 100"),
        ("limit=²", "1 to 100"),
        ("limit=", "1 to 100"),
        ("limit=1e1", "1 to 100"),
        ("after=x", "next"),
        ("after=9999999999.000000", "next"),
        ("before=x", "'before'"),
    ],
)
def test_a_page_that_cannot_be(jobs_http: httpx.Client, query: str, says: str) -> None:
    """Parameters that mean nothing are refused with what is taken."""
    problem = check_problem(jobs_http.get(f"/jobs?{query}"), 422, "invalid-request")

    assert says in problem["detail"]
    assert "model" not in problem["title"]


def test_anonymous_callers_on_lambda_cannot_list(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Lambda callers without an identity are told that theirs are not listed, before any store is asked."""
    for name, value in {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    settings = {
        "AWS_LAMBDA_FUNCTION_NAME": "onnx-lambda",
        "JOBS": "aws",
        "JOBS_TABLE": "jobs",
        "JOBS_BUCKET": "jobs",
        "JOBS_QUEUE_URL": "http://127.0.0.1:1/q",
        "WEBHOOKS_QUEUE_URL": "http://127.0.0.1:1/w",
    }
    with in_process(models, fast_lane=True, **settings) as client:
        assert "identity" in check_problem(client.get("/jobs"), 403, "not-offered")["detail"]


def test_a_large_result_is_a_link(models: Path, tmp_path: Path) -> None:
    """A result larger than a response may be is answered 303 to a link that anybody can follow for five minutes, and not longer."""
    with ByHand.of(models, tmp_path, MAX_RESULT_BYTES="1000") as by_hand:
        job_id = by_hand.submit({"inputs": [1.5] * 1000}, "/models/identity-float/predict", caller="a")
        by_hand.work(job_id)
        answer = by_hand.ask("GET", f"/jobs/{job_id}/result", caller="a", base="/prod")
        address = answer.headers["Location"]
        assert (303, b"", "no-store") == (answer.status, answer.body, answer.headers["Cache-Control"])
        assert address.startswith("/prod/downloads/")
        assert (404, "unknown-job") == problem_of(by_hand.ask("GET", f"/jobs/{job_id}/result", caller="b"))

        by_hand.clock.advance(299)
        got = by_hand.ask("GET", address.removeprefix("/prod"), caller="b")
        assert (200, "application/json", [1.5] * 1000) == (got.status, got.content_type, json.loads(got.body)["outputs"]["y"])
        for wrong in (address[:-1] + "!", address.replace("expires=1", "expires=2"), address.partition("?")[0]):
            assert 404 == by_hand.ask("GET", wrong.removeprefix("/prod")).status
        by_hand.clock.advance(2)
        assert 404 == by_hand.ask("GET", address.removeprefix("/prod")).status


def test_a_large_result_through_a_shell(models: Path, tmp_path: Path) -> None:
    """The link works once it is followed; a synchronous call of the same size says what to do instead."""
    with in_process(models, fast_lane=True, JOBS="sqlite", JOBS_DIR=str(tmp_path), MAX_RESULT_BYTES="1000") as client:
        body = {"inputs": [1.5] * 1000}
        location = client.post("/models/identity-float/predict", json=body, headers=LATER).headers["location"]
        assert "succeeded" == ended(client, location)["status"]
        got = client.get(f"{location}/result", follow_redirects=True)

        assert (200, [1.5] * 1000) == (got.status_code, got.json()["outputs"]["y"])
        check_problem(client.post("/models/identity-float/predict", json=body), 413, "result-too-large")


def test_a_result_over_lambda_s_limit_is_a_link(models: Path, tmp_path: Path) -> None:
    """A result that fits MAX_RESULT_BYTES but not Lambda's envelope is a link as well."""
    with in_process(models, fast_lane=True, JOBS="sqlite", JOBS_DIR=str(tmp_path)) as client:
        location = client.post("/models/expand/predict", json={"inputs": [2_000_000]}, headers=LATER).headers["location"]
        assert "succeeded" == ended(client, location)["status"]

        assert 303 == client.get(f"{location}/result", headers={"accept-encoding": "identity"}).status_code
        assert 200 == client.get(f"{location}/result", headers={"accept-encoding": "gzip"}).status_code


@pytest.mark.parametrize("fast_lane", [True, False])
def test_base_path_stands_in_every_link(models: Path, tmp_path: Path, *, fast_lane: bool) -> None:
    """Addresses have BASE_PATH before them and work as they are."""
    settings = {"JOBS": "sqlite", "JOBS_DIR": str(tmp_path), "BASE_PATH": "/ml"}
    with in_process(models, fast_lane=fast_lane, **settings) as client:
        answer = client.post("/ml/predict", json={"inputs": [SETOSA]}, headers=LATER)
        location, links = answer.headers["location"], answer.json()["links"]
        assert f"/ml/jobs/{answer.json()['id']}" == location == links["self"]
        assert "succeeded" == ended(client, location)["status"]
        assert 200 == client.get(links["result"]).status_code
        assert client.post("/ml/uploads", json={"bytes": 1, "sha256": "0" * 64}).json()["upload"]["url"].startswith("/ml/uploads/")


def test_base_path_of_a_server(models: Path, tmp_path: Path) -> None:
    """So it is on serve, with FastAPI and without."""
    from tests.shells import server

    for fast_lane in (True, False):
        with server(models, fast_lane=fast_lane, BASE_PATH="/ml", JOBS_DIR=str(tmp_path)) as client:
            location = client.post("/ml/predict", json={"inputs": [SETOSA]}, headers=LATER).headers["location"]

            assert location.startswith("/ml/jobs/")
            assert "succeeded" == ended(client, location)["status"]


@pytest.mark.parametrize("flavour", ["v2", "v1"])
def test_stage_stands_in_every_link(models: Path, tmp_path: Path, flavour: str) -> None:
    """Addresses have the stage before them that the caller wrote, which payload 1.0 tells in the context alone."""
    from app.wiring import event_handler, wire
    from handler import ThroughMangum

    program = wire({"MODEL_DIR": str(models), "JOBS": "sqlite", "JOBS_DIR": str(tmp_path)})
    assert program.parts is not None
    event = v2("POST", "/prod/predict", json.dumps({"inputs": [SETOSA]}))
    event["requestContext"]["stage"] = "prod"
    event["headers"] |= LATER
    if flavour == "v1":
        context = {"stage": "prod", "path": "/prod/predict", "requestId": "gateway-1"}
        event = {"resource": "/{proxy+}", "httpMethod": "POST", "path": "/predict", "requestContext": context} | {
            name: event[name] for name in ("headers", "body", "isBase64Encoded")
        }
    answer = event_handler(program, ThroughMangum(program))(event, Context())
    program.parts.local_worker.stop(60)

    assert 202 == answer["statusCode"]
    assert f"/prod/jobs/{json.loads(answer['body'])['id']}" == answer["headers"]["Location"]


def test_a_store_that_fails_while_the_caller_waits(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is kept is answered 202 even where it cannot be looked at any more: its caller must know its address."""
    from app.jobs.service import Jobs

    def fail(*_: Any) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(Jobs, "wait", fail)
    answer = by_hand.ask("POST", "/predict", {"inputs": [SETOSA]}, prefer="respond-async, wait=5")

    assert 202 == answer.status
    assert "queued" == json.loads(by_hand.ask("GET", answer.headers["Location"]).body)["status"]


def test_a_store_that_fails_at_submit(by_hand: ByHand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is not known to be kept is never answered 202, but 503 and when to try again (F-42)."""

    def fail(*_: Any) -> bool:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(by_hand.parts.stores.backend, "write", fail)

    answer = by_hand.ask("POST", "/predict", {"inputs": [SETOSA]}, **LATER)

    assert (503, "store-unavailable") == problem_of(answer)
    assert "5" == answer.headers["Retry-After"]


def test_deliveries_of_a_job_without_a_webhook(jobs_http: httpx.Client) -> None:
    """A job without a webhook has no deliveries."""
    location = jobs_http.post("/predict", json={"inputs": [SETOSA]}, headers=LATER).headers["location"]

    assert {"deliveries": []} == jobs_http.get(f"{location}/deliveries").json()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"webhook_url": "https://hooks.test/x"}, "invalid-request"),
        ({**LATER, "webhook_url": "https://hooks.test/x"}, "webhook-refused"),
        ({**LATER, "webhook_url": ""}, "webhook-refused"),
        ({**LATER, "webhook_url": "", "webhook_id": "x"}, "webhook-refused"),
        ({"webhook_url": ""}, "invalid-request"),
        ({**LATER, "webhook_id": "x"}, "invalid-request"),
        ({**LATER, "webhook_url": "https://hooks.test/x", "webhook_id": "x" * 257}, "invalid-request"),
    ],
)
def test_webhooks_that_cannot_be(by_hand: ByHand, headers: dict[str, str], code: str) -> None:
    """A webhook without respond-async, on a server without a key, or to no address, a label alone or too long: refused, and nothing is kept."""
    assert (422, code) == problem_of(by_hand.ask("POST", "/predict", {"inputs": [SETOSA]}, **headers))
    assert (0, []) == by_hand.kept()


# every route of jobs and uploads, and every verb
PROBES = [
    (method, tail) for method in ("GET", "HEAD", "DELETE", "POST", "PUT", "PATCH", "OPTIONS") for tail in ("", "/result", "/deliveries")
]


@pytest.mark.parametrize("fast_lane", [True, False])
def test_other_callers_see_nothing(models: Path, tmp_path: Path, *, fast_lane: bool) -> None:
    """Over every route and verb a job of somebody else is answered as an id that nobody has: same status, body and header fields."""
    with tenants(models, fast_lane=fast_lane, JOBS="sqlite", JOBS_DIR=str(tmp_path)) as client_of:
        owner, other, nobody = client_of("owner"), client_of("other"), client_of("")
        answer = owner.post("/predict", json={"inputs": [SETOSA]}, headers=LATER)
        job_id = answer.json()["id"]
        ended(owner, f"/jobs/{job_id}")
        probed = 0
        for stranger in (other, nobody):
            for method, tail in PROBES:
                found, missing = (
                    stranger.request(method, f"/jobs/{name}{tail}", headers={"x-request-id": "one", "x-user": "owner"})
                    for name in (job_id, "0" * 32)
                )

                assert (missing.status_code, missing.content, dict(missing.headers)) == (
                    found.status_code,
                    found.content,
                    dict(found.headers),
                )
                assert found.status_code in {404, 405}
                probed += 1
            assert {"jobs": [], "next": None} == stranger.get("/jobs").json()
        assert 42 == probed
        # A header says nothing of who asks.
        for headers in ({"authorization": "Bearer owner"}, {"x-amzn-oidc-identity": "owner"}, {"x-api-key": "owner"}):
            assert 404 == nobody.get(f"/jobs/{job_id}", headers=headers).status_code
        assert 200 == owner.get(f"/jobs/{job_id}/result").status_code


def test_ids_are_random(by_hand: ByHand) -> None:
    """No two jobs share an id, and ids share no beginning."""
    ids = {by_hand.submit() for _ in range(50)}

    assert 50 == len(ids)
    assert len({name[:2] for name in ids}) > 20


def test_times_are_utc_to_the_millisecond(by_hand: ByHand) -> None:
    """Times are RFC 3339, in UTC."""
    by_hand.clock.now = 1_800_000_000.1234
    job = json.loads(by_hand.ask("GET", f"/jobs/{by_hand.submit()}").body)

    assert "2027-01-15T08:00:00.123Z" == job["created"]
