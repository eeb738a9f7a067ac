"""`docker compose up`: the stack of the template on this machine, driven by the clients that people have."""

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import httpx
import numpy as np
import pytest
import standardwebhooks
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.containers import aws, compose, engine
from tests.deployment import wait_for
from tests.problems import check_problem

pytestmark = pytest.mark.containers

ROW = [5.1, 3.5, 1.4, 0.2]
FLOWERS = b"5.1,3.5,1.4,0.2\n7.0,3.2,4.7,1.4\n6.3,3.3,6.0,2.5\n"
LATER = {"Prefer": "respond-async"}
HOOKS = "https://receiver.example.com:8443"


class Webhook(BaseHTTPRequestHandler):
    """A receiver of one's own, without TLS."""

    received: Queue[tuple[str, dict[str, str], bytes]] = Queue()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.put((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    """The receiver, where containers reach it as host.docker.internal."""
    server = ThreadingHTTPServer((aws.bridge(), 0), Webhook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://host.docker.internal:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture(scope="module")
def stack(receiver: str) -> Iterator[compose.Up]:
    """The stack, up."""
    with compose.up(receiver) as found:
        yield found


@pytest.fixture
def api(stack: compose.Up) -> Iterator[httpx.Client]:
    """A client of its API."""
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        yield client


def ended(api: httpx.Client, taken: httpx.Response) -> str:
    """Wait for a job; its address."""
    assert 202 == taken.status_code, taken.text
    job = str(taken.headers["location"])
    wait_for(lambda: api.get(job).json()["status"] not in {"queued", "running"}, "the job's end")
    return job


def test_a_prediction(api: httpx.Client) -> None:
    """HTTP goes in as an event and comes back, and what is wrong comes back in the one error shape."""
    answer = api.post("/models/iris/predict", json={"inputs": {"X": [ROW]}}, headers={"X-Request-Id": "from-the-test"})

    assert 200 == answer.status_code, answer.text
    assert [0] == answer.json()["outputs"]["output_label"]
    assert "from-the-test" == answer.headers["x-request-id"]
    check_problem(api.post("/predict", json={"inputs": {"X": [[1, 2]]}}), 422, "wrong-shape")
    assert "swagger-ui" in api.get("/docs").text
    assert api.get("/docs/favicon-32x32.png").content.startswith(b"\x89PNG")
    # API Gateway's own answer to what has no route.
    assert (404, {"message": "Not Found"}) == ((missing := api.get("/nothing-here")).status_code, missing.json())


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient(stack: compose.Up, binary: bool) -> None:
    """Triton's client gets its tensors raw, both ways, and as JSON."""
    # bytes that are no text in any encoding: every value from 0 to 254
    noise = np.frombuffer(bytes(range(255)) + b"\x00", np.float32).reshape(-1, 4)
    rows = noise if binary else np.array([ROW], np.float32)
    given = [triton.InferInput("X", list(rows.shape), "FP32").set_data_from_numpy(rows, binary_data=binary)]
    outputs = [triton.InferRequestedOutput("output_probability", binary_data=binary)]
    with triton.InferenceServerClient(stack.url.removeprefix("http://"), network_timeout=60) as client:
        assert client.is_model_ready("iris", "1")
        result = client.infer("iris", given, outputs=outputs)
        with pytest.raises(InferenceServerException, match="There is no model 'ghost'"):
            client.infer("ghost", given)

    assert (len(rows), 3) == result.as_numpy("output_probability").shape


def test_callers_wait_for_one_another(api: httpx.Client) -> None:
    """The emulator takes one event at a time; who calls beside others is answered all the same."""
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: api.post("/predict", json={"inputs": [ROW]}), range(24)))

    assert [200] * 24 == [answer.status_code for answer in answers]


def test_what_lambda_does_not_take(api: httpx.Client) -> None:
    """Five megabytes go through, seven are more than an event may have, and eleven more than an HTTP API takes."""
    codes = [
        api.post("/predict", content=b" " * size, headers={"Content-Type": "application/json"}).status_code
        for size in (5 << 20, 7 << 20, 11 << 20)
    ]

    assert [400, 413, 413] == codes


def test_a_job_and_its_webhook(stack: compose.Up, api: httpx.Client) -> None:
    """A job's result is the synchronous answer, and its webhook arrives, signed, as Standard Webhooks' own library says."""
    at_once = api.post("/predict", json={"inputs": [ROW]})
    job = ended(api, api.post("/predict", json={"inputs": [ROW]}, headers={**LATER, "Webhook-Url": f"{HOOKS}/mine?a=b", "Webhook-Id": "1"}))
    path, headers, body = Webhook.received.get(timeout=30)
    told = standardwebhooks.Webhook(stack.outputs()["Webhook key"]).verify(body, headers)

    assert at_once.content == api.get(f"{job}/result").content
    assert "/mine?a=b" == path
    assert job.removeprefix("/jobs/") in json.dumps(told)
    wait_for(lambda: api.get(f"{job}/deliveries").json()["deliveries"][0]["status"] == "delivered", "the delivery's end")


def test_webhooks_go_to_public_addresses_alone(api: httpx.Client) -> None:
    """What the function refuses on Lambda it refuses here."""
    answer = api.post("/predict", json={"inputs": [ROW]}, headers={**LATER, "Webhook-Url": "http://host.docker.internal:9000/"})

    check_problem(answer, 422, "webhook-refused")


def test_a_large_input_and_result(api: httpx.Client) -> None:
    """An upload's address and a result's lead to the bucket from this machine as they do from a function."""
    rows = b"5.1,3.5,1.4,0.2\n" * 500_000
    told = api.post("/uploads", json={"bytes": len(rows), "sha256": hashlib.sha256(rows).hexdigest(), "content_type": "text/csv"}).json()
    upload = told["upload"]
    assert 200 == httpx.request(upload["method"], upload["url"], headers=upload["headers"], content=rows, timeout=60).status_code
    reference = {"Content-Type": told["reference_content_type"], "Accept": "text/csv", **LATER}
    job = ended(api, api.post("/models/iris/predict", content=json.dumps(told["reference"]), headers=reference))
    answer = api.get(f"{job}/result", follow_redirects=True)

    assert 200 == answer.status_code, answer.text[:500]
    assert 500_001 == len(answer.content.splitlines())


def test_a_file_in_the_inbox(stack: compose.Up) -> None:
    """A file that is put into the inbox is predicted into the bucket."""
    s3 = stack.client("s3")
    bucket = stack.outputs()["Inbox"].removeprefix("s3://").partition("/")[0]
    s3.put_object(Bucket=bucket, Key="inbox/iris/red flowers+1.csv", Body=FLOWERS, ContentType="text/csv")

    def manifests() -> list[str]:
        found = s3.list_objects_v2(Bucket=bucket, Prefix="predictions/iris/").get("Contents", [])
        return [one["Key"] for one in found if one["Key"].endswith("/manifest.json")]

    # It is written last.
    wait_for(lambda: bool(manifests()), "the predictions")
    (manifest,) = manifests()
    key = manifest.replace("manifest.json", "predictions.csv")

    assert [b"0", b"1", b"2"] == [line.partition(b",")[0] for line in s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()]


def test_the_sweeper_comes_each_minute(stack: compose.Up) -> None:
    """The schedule of the template is kept."""
    wait_for(lambda: "RTDONE(status: success" in stack.compose("logs", "jobs-sweeper"), "the sweeper", 90)


def test_containers_write_nothing(stack: compose.Up) -> None:
    """Every function runs on a read-only root, as nobody's user, and nothing has ended."""
    for identity in stack.compose("ps", "--quiet").split():
        found = json.loads(engine.docker("inspect", identity).stdout)[0]

        assert found["State"]["Running"]
        assert found["HostConfig"]["ReadonlyRootfs"]
        assert "10001:10001" == found["Config"]["User"]
        # The place of the volume that they share.
        assert {"A /aws-lambda"} >= set(engine.docker("diff", identity).stdout.decode().splitlines())
