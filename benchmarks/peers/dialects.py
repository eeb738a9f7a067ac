"""The same question in each wire format, and where in the answer its number is."""

import json
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.peers import wire
from benchmarks.peers.question import Question
from benchmarks.processes import BenchmarkError

JSON = {"Content-Type": "application/json"}
TOLERANCE = 1e-6


class Call(NamedTuple):
    """A request as it goes over the wire, and how its answer is read."""

    sent: bytes
    read: Callable[[wire.Answer], Any]  # a number, or lists and outputs by name around it

    def check(self, answer: wire.Answer, question: Question) -> None:
        """Whether the answer is right.

        :raises BenchmarkError: it is another one.
        """
        if answer.status != 200:
            raise BenchmarkError(f"it answered {answer.status}: {answer.body[:300].decode(errors='replace')}")
        number = self.read(answer)
        while isinstance(number, dict | list):
            number = number[question.output] if isinstance(number, dict) else number[0]
        if abs(number - question.answer) > TOLERANCE:
            raise BenchmarkError(f"it answered {number}, but {question.answer} is right")


def predict(question: Question) -> Call:
    """This project's own format."""
    body = b'{"inputs":{"X":%s}}' % question.nested
    return Call(wire.request("POST", "/predict", JSON, body), lambda answer: json.loads(answer.body)["outputs"])


def nothing(question: Question) -> Call:
    """The same to a path whose answer is known to be `{"outputs":{}}`."""
    body = b'{"inputs":{"X":%s}}' % question.nested
    return Call(wire.request("POST", "/nothing", JSON, body), lambda _: question.answer)


def npy(question: Question) -> Call:
    """NumPy's file format in, JSON out."""
    sent = wire.request("POST", "/predict", {"Content-Type": "application/x-npy"}, question.npy)
    return Call(sent, lambda answer: json.loads(answer.body)["outputs"])


def v1(question: Question) -> Call:
    """TensorFlow Serving's columnar format: a vector is no batch of rows."""
    body = b'{"inputs":%s}' % question.nested
    sent = wire.request("POST", f"/v1/models/{question.model}:predict", JSON, body)
    return Call(sent, lambda answer: json.loads(answer.body)["outputs"])


def v1_instances(question: Question) -> Call:
    """KServe's v1 format."""
    body = b'{"instances":%s}' % question.nested
    sent = wire.request("POST", f"/v1/models/{question.model}:predict", JSON, body)
    return Call(sent, lambda answer: json.loads(answer.body)["predictions"])


def v2(question: Question) -> Call:
    """Open Inference Protocol, JSON both ways."""
    shape = json.dumps(question.shape).encode()
    body = b'{"inputs":[{"name":"X","shape":%s,"datatype":"FP32","data":%s}]}' % (shape, question.flat)
    sent = wire.request("POST", f"/v2/models/{question.model}/infer", JSON, body)
    return Call(sent, lambda answer: json.loads(answer.body)["outputs"][0]["data"])


def v2_binary(question: Question) -> Call:
    """Open Inference Protocol with its binary extension, both ways."""
    tensor = {"name": "X", "shape": question.shape, "datatype": "FP32", "parameters": {"binary_data_size": len(question.raw)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    sent = wire.request("POST", f"/v2/models/{question.model}/infer", headers, head + question.raw)
    return Call(sent, _first_float)


def _first_float(answer: wire.Answer) -> float:
    number: float = struct.unpack_from("<f", answer.body, int(answer.headers["inference-header-content-length"]))[0]
    return number


def by_name(question: Question) -> Call:
    """The argument `X` of a function `predict`, as BentoML and LitServe have it."""
    body = b'{"X":%s}' % question.nested
    return Call(wire.request("POST", "/predict", JSON, body), _outputs)


def _outputs(answer: wire.Answer) -> Any:
    document = json.loads(answer.body)
    return document["output"] if isinstance(document, dict) else document
