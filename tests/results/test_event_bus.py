"""Results on an event bus: events of our own form, and CloudEvents."""

import datetime as dt
import io
import json
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ResultTooLarge
from app.results.cloud_event import event_of
from app.results.event_bus import EventBus
from app.results.json_record import record_of
from tests.jobs.aws_server import Application, Environ, Fault, StartResponse
from tests.results.worlds import QUEUE_ARN, World, failed, result, some, unbase64

MOST = 1_048_575


def test_what_an_event_says(bus: World) -> None:
    """An answer is a PredictionCompleted of onnx-lambda, with the JSON answer as JSON in its detail."""
    bus.sink.put([result("r1", b'{"outputs": {"y": [1.50]}}')])
    (event,) = bus.read()

    assert ("onnx-lambda", "PredictionCompleted") == (event["source"], event["detail-type"])
    assert {
        "id": "r1",
        "correlation_id": "order r1",
        "source": QUEUE_ARN,
        "model": "iris",
        "version": "2",
        "digest": "sha256:ab",
        "content_type": "application/json",
        "status": 200,
        "answer": {"outputs": {"y": [1.5]}},
    } == event["detail"]


def test_what_an_event_of_an_error_says(bus: World) -> None:
    """An error is a PredictionFailed, with the error object and its status in its detail."""
    bus.sink.put([failed("r1")])
    (event,) = bus.read()

    assert ("PredictionFailed", 422) == (event["detail-type"], event["detail"]["status"])
    assert ("invalid-request", "/inputs/x") == (event["detail"]["error"]["code"], event["detail"]["error"]["pointer"])
    assert "answer" not in event["detail"]


@pytest.mark.parametrize("body", [b"\x93NUMPY", b"a,b\n1,2\n", b"", b"[NaN]", b'{"a":1}\x00\x01', "\ufeff{}".encode()])
def test_what_is_not_json_is_base64(bus: World, body: bytes) -> None:
    """An answer that is no JSON document is in base64, whatever it is called."""
    bus.sink.put([result("r1", body)])
    (event,) = bus.read()

    assert {"base64"} == set(event["detail"]["answer"])
    assert body == unbase64(event["detail"]["answer"]["base64"])


def test_an_error_without_a_body(bus: World) -> None:
    """Where the error object is not JSON it is written anew."""
    bus.sink.put([failed("r1")._replace(body=b"\xff")])

    assert "invalid-request" == bus.read()[0]["detail"]["error"]["code"]


@pytest.mark.parametrize("over", [0, 1])
def test_the_largest_event(over: int) -> None:
    """An entry is taken below 1 MiB of source, type and detail, and one byte more is refused with the size and the limit."""
    sink = EventBus("arn:aws:events:eu-west-1:123456789012:event-bus/answers", cloudevents=False)
    rest = len("onnx-lambda") + len("PredictionCompleted") + len(orjson.dumps(record_of(result("r1", b"1"))))
    body = b"1" * 18 + b" " * (MOST - rest - 17 + over)
    if over:
        with pytest.raises(ResultTooLarge, match=f"has {MOST + 1} bytes .* at most {MOST}"):
            sink._entry(0, result("r1", body))
    else:
        assert MOST == sink._entry(0, result("r1", body)).size


def test_cloudevents_of_answers(cloudevents: World) -> None:
    """With CloudEvents the detail is an event of specification 1.0 whose data is the answer."""
    cloudevents.sink.put([result("r1", b'{"outputs":{"y":[1]}}')])
    (event,) = cloudevents.read()
    detail = event["detail"]

    assert "PredictionCompleted" == event["detail-type"]
    assert dt.UTC == dt.datetime.fromisoformat(detail.pop("time")).tzinfo
    assert 64 == len(detail.pop("id"))
    assert {
        "specversion": "1.0",
        "source": QUEUE_ARN,
        "type": "com.onnx-lambda.prediction.completed",
        "subject": "r1",
        "datacontenttype": "application/json",
        "correlationid": "order r1",
        "model": "iris",
        "modelversion": "2",
        "modeldigest": "sha256:ab",
        "status": 200,
        "data": {"outputs": {"y": [1]}},
    } == detail


def test_cloudevents_of_errors(cloudevents: World) -> None:
    """The event of an error is of another type, and its data is the error object."""
    cloudevents.sink.put([failed("r1")])
    (event,) = cloudevents.read()

    assert ("PredictionFailed", "com.onnx-lambda.prediction.failed") == (event["detail-type"], event["detail"]["type"])
    assert (422, "invalid-request") == (event["detail"]["status"], event["detail"]["data"]["code"])


def written(**members: Any) -> Any:
    return orjson.loads(orjson.dumps(event_of(result(**members))))


DATA = {
    ("application/json", b'"text"'): {"data": "text"},
    ("application/json", b"null"): {"data": None},
    ("application/problem+json", b"{}"): {"data": {}},
    ("application/json", b"[NaN]"): {"data_base64": "W05hTl0="},
    ("application/vnd.sagemaker-triton.binary+json;json-header-size=2", b"{}\x00"): {"data_base64": "e30A"},
    ("text/csv", b"1,2\n"): {"data": "1,2\n"},
    ("text/csv", b"\xff"): {"data_base64": "/w=="},
    ("application/jsonl", b"{}\n{}\n"): {"data": "{}\n{}\n"},
    ("application/x-npy", b"abc"): {"data_base64": "YWJj"},
    ("application/json", b""): {"data_base64": ""},
}


@pytest.mark.parametrize(("content_type", "body"), list(DATA))
def test_data_is_as_its_type_says(content_type: str, body: bytes) -> None:
    """JSON is JSON in ``data``, text is a string there, and everything else is in ``data_base64`` (JSON event format, 3.1.1)."""
    event = written(body=body, content_type=content_type)

    assert content_type == event["datacontenttype"]
    assert DATA[content_type, body] == {
        name: value for name, value in event.items() if name.startswith("data") and name != "datacontenttype"
    }


def test_an_event_is_known_again() -> None:
    """The same outcome of the same record has the same id and source; another record, source or outcome has another id."""
    first = event_of(result("r1"))

    assert (first["id"], first["source"]) == (event_of(result("r1"))["id"], event_of(result("r1"))["source"])
    others = [event_of(result("r2")), event_of(result("r1")._replace(source="kinesis")), event_of(failed("r1"))]
    assert 4 == len({first["id"], *(other["id"] for other in others)})


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_source_is_a_uri_reference(source: str) -> None:
    """Whatever a source is called, the event's is a URI-reference and not empty; a bare word is a path of ours."""
    found = event_of(result("r1")._replace(source=source))["source"]

    assert found
    assert found.isascii()
    assert not set(found) & set(' "<>\\^`{|}#[]')
    assert "/onnx-lambda/sqs" == event_of(result("r1")._replace(source="sqs"))["source"]
    assert "/onnx-lambda" == event_of(result("r1")._replace(source=""))["source"]


def test_names_of_attributes() -> None:
    """Attributes have names of small letters and digits, at most twenty, and none is empty (CloudEvents, "Naming conventions")."""
    event = written(correlation_id="", model="", version="", digest="")

    assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in event_of(result()) if name != "data_base64")
    assert not {"correlationid", "model", "modelversion", "modeldigest"} & set(event)


def test_one_that_is_no_event_is_alone(bus: World) -> None:
    """Where a bus refuses one entry for its detail the others are on it."""
    bus.server.fail("PutEvents", malformed("r1"))
    problems = bus.sink.put(some(3))

    assert [False, True, False] == [bool(problem) for problem in problems]
    assert ["r0", "r2"] == sorted(bus.ids())


def malformed(record_id: str) -> Fault:
    """The detail of one entry is broken on its way."""

    def fault(moto: Application, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = json.loads(environ["wsgi.input"].getvalue())
        for entry in request["Entries"]:
            if f'"{record_id}"' in entry["Detail"]:
                entry["Detail"] = "{"
        asked = json.dumps(request).encode()
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(asked), str(len(asked))
        return moto(environ, start_response)

    return fault
