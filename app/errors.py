"""Every way a request can fail, as one tree that every layer may raise from; that of jobs goes on in :mod:`app.jobs.errors`.

::

    Problem                       status  code
    ├─ Unreadable                 400     unreadable-request      the bytes are not what they claim to be
    │  ├─ UnreadableJson          400     unreadable-json
    │  └─ NestedTooDeeply         400     nested-too-deeply
    ├─ NotOffered                 403     not-offered
    ├─ NotFound                   404     unknown-path
    │  ├─ UnknownModel            404     unknown-model
    │  └─ UnknownVersion          404     unknown-version
    ├─ MethodNotAllowed           405     method-not-allowed
    ├─ NotAcceptable              406     not-acceptable
    ├─ BodyTooSlow                408     body-too-slow
    ├─ BodyTooLarge               413     body-too-large
    ├─ ResultTooLarge             413     result-too-large
    ├─ UnsupportedContentType     415     unsupported-content-type
    ├─ Invalid                    422     invalid-request         readable, but not what the model or the path takes
    │  ├─ MissingInput            422     missing-input
    │  ├─ UnknownInput            422     unknown-input
    │  ├─ UnknownOutput           422     unknown-output
    │  ├─ WrongDatatype           422     wrong-datatype
    │  ├─ WrongShape              422     wrong-shape
    │  ├─ OutOfRange              422     out-of-range
    │  ├─ NotFinite               422     not-finite
    │  ├─ OutputNotFinite         422     output-not-finite
    │  └─ InputRefusedByModel     422     input-refused-by-model  ONNX Runtime called the input invalid
    ├─ InternalError              500     internal-error
    │  └─ RunFailed               500     run-failed
    ├─ ModelNotReady              503     model-not-ready
    ├─ StoreUnavailable           503     store-unavailable       where jobs are kept did not answer
    └─ DeadlineExceeded           504     deadline-exceeded

    SettingError, ModelRefused, UnknownEvent   never reach a caller over HTTP: they stop a start, a load or an invocation
"""

from typing import Any, ClassVar


class Problem(Exception):
    """A failure that the caller is told about, in the one error shape (RFC 9457 and Open Inference's ``error``).

    ``detail`` says what was wrong, what was expected and what to do; ``pointer`` is a JSON Pointer (RFC 6901)
    to the place in the request, where there is one.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "problem"
    title: ClassVar[str] = "The request failed"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, pointer: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail, self.pointer, self.headers = detail, pointer, headers or {}

    @property
    def tells_no_payload(self) -> bool:
        """Whether ``detail`` may be logged: that of a caller's mistake quotes what was wrong, a failure of ours does not."""
        return self.status >= 500 or self.retryable

    def as_object(self, request_id: str) -> dict[str, Any]:
        """The error as a JSON object. ``error`` is a string, which Open Inference clients require."""
        body = {"error": self.detail, "type": f"urn:onnx-lambda:problem:{self.code}", "title": self.title, "status": self.status}
        body |= {"detail": self.detail, "code": self.code} | ({} if self.pointer is None else {"pointer": self.pointer})
        return body | {"request_id": request_id}


class Unreadable(Problem):
    """The bytes or the envelope around them cannot be read."""

    status, code, title = 400, "unreadable-request", "The request cannot be read"


class UnreadableJson(Unreadable):
    """The body is not JSON."""

    code, title = "unreadable-json", "The body is not valid JSON"


class NestedTooDeeply(Unreadable):
    """The body nests arrays or objects deeper than any tensor does."""

    code, title = "nested-too-deeply", "The body is nested too deeply"


class NotOffered(Problem):
    """A protocol has the operation, and this server does not do it for anybody."""

    status, code, title = 403, "not-offered", "This server does not offer that"


class NotFound(Problem):
    """No such path."""

    status, code, title = 404, "unknown-path", "There is nothing at this path"


class UnknownModel(NotFound):
    """No model of that name is in the repository."""

    code, title = "unknown-model", "There is no such model"


class UnknownVersion(NotFound):
    """The model exists, the version does not."""

    code, title = "unknown-version", "The model has no such version"


class MethodNotAllowed(Problem):
    """The path exists, but not for this method."""

    status, code, title = 405, "method-not-allowed", "The path does not take this method"


class NotAcceptable(Problem):
    """No content type that the caller accepts can be produced."""

    status, code, title = 406, "not-acceptable", "The answer cannot be given in an accepted content type"


class BodyTooSlow(Problem):
    """The body did not arrive in time."""

    status, code, title, retryable = 408, "body-too-slow", "The body did not arrive in time", True


class BodyTooLarge(Problem):
    """The body is over the limit."""

    status, code, title = 413, "body-too-large", "The body is too large"


class ResultTooLarge(Problem):
    """The answer is over the limit."""

    status, code, title = 413, "result-too-large", "The result is too large"


class UnsupportedContentType(Problem):
    """The body's content type is not one that the path takes."""

    status, code, title = 415, "unsupported-content-type", "The content type is not supported"


class Invalid(Problem):
    """The request was read, and is not what the model or the path takes."""

    status, code, title = 422, "invalid-request", "The request is not valid"


class MissingInput(Invalid):
    """An input that the model needs is not in the request."""

    code, title = "missing-input", "An input is missing"


class UnknownInput(Invalid):
    """The request names an input that the model does not have."""

    code, title = "unknown-input", "The model has no such input"


class UnknownOutput(Invalid):
    """The request asks for an output that the model does not have."""

    code, title = "unknown-output", "The model has no such output"


class WrongDatatype(Invalid):
    """A value is of another type than the model's input."""

    code, title = "wrong-datatype", "A value has the wrong type"


class WrongShape(Invalid):
    """A tensor has another rank or other dimensions than the model's input."""

    code, title = "wrong-shape", "A tensor has the wrong shape"


class OutOfRange(Invalid):
    """A number does not fit into the input's datatype."""

    code, title = "out-of-range", "A number does not fit the datatype"


class NotFinite(Invalid):
    """NaN or infinity came in without the model's permission."""

    code, title = "not-finite", "NaN and infinity are not allowed"


class OutputNotFinite(Invalid):
    """The model answered NaN or infinity, and its policy forbids that."""

    code, title = "output-not-finite", "The model's answer is not a finite number"


class InputRefusedByModel(Invalid):
    """ONNX Runtime refused the values: well-formed for the signature, impossible for the graph."""

    code, title = "input-refused-by-model", "The model refuses this input"


class InternalError(Problem):
    """A failure of ours; the log has the stack trace under the request id."""

    code, title, retryable = "internal-error", "Something failed on our side", True


class RunFailed(InternalError):
    """The model's run failed for a reason that does not lie in the input."""

    code, title, retryable = "run-failed", "The model's run failed", False


class ModelNotReady(Problem):
    """The model exists but is not loaded."""

    status, code, title, retryable = 503, "model-not-ready", "The model is not ready", True


class StoreUnavailable(Problem):
    """The store of jobs failed or did not answer in time, whatever came of it; ``Retry-After`` is for what is ``transient``."""

    status, code, title, retryable = 503, "store-unavailable", "The store of jobs is not available", True

    def __init__(self, detail: str, *, transient: bool = True) -> None:
        super().__init__(detail, headers={"Retry-After": "5"} if transient else None)


class DeadlineExceeded(Problem):
    """The run was ended because the time was up."""

    status, code, title, retryable = 504, "deadline-exceeded", "The time for the prediction was up", True


class SettingError(Exception):
    """An environment variable has a value that it does not take; the message names it and what it takes."""


class ModelRefused(Exception):
    """A model's files are missing, damaged, swapped or unsafe; the message says which, without paths outside the repository."""


class UnknownEvent(Exception):
    """The function was invoked with an event that no trigger recognises: raised, so that it is never taken for done."""
