"""What every codec gives and takes: a decoded request, and a model's answer on its way out."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

from app.tensors import Signature, Value


class Call(NamedTuple):
    """A request as arrays that fit the signature. ``outputs`` are the names to compute, in the order to answer them.

    ``top_k`` is how many of a row's classes are answered at most, 0 for all scores as they are. ``nan_output`` is the
    request's own NaN policy, empty for the model's. ``details`` are for the writer of the same dialect alone.
    """

    inputs: dict[str, Value]
    outputs: tuple[str, ...]
    form: Literal["columns", "rows"] = "columns"
    id: str | None = None
    top_k: int = 0
    nan_output: str = ""
    details: Any = None


class ModelTag(NamedTuple):
    """Which model answered, and which request: ``request_id`` stands where a dialect requires an id and the caller gave none."""

    name: str
    version: str
    digest: str
    request_id: str = ""


class Encoded(NamedTuple):
    """An answer, and its content type; empty for the one that was chosen from ``Accept``."""

    body: bytes
    content_type: str = ""


class Reader(Protocol):
    """The way in of one format: a pure function."""

    def decode(self, body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:
        """Bytes to checked arrays.

        :param parameters: those of the content type.
        :raises Unreadable: the bytes are not of this format.
        :raises Invalid: they do not fit the signature.
        """


class Writer(Protocol):
    """The way out of one format: a pure function."""

    def encode(self, call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:
        """The answer as bytes.

        :raises OutputNotFinite: by the NaN policy of the request or the model.
        """


def batch_size(inputs: Mapping[str, Any]) -> int:
    """The number of rows: the first dimension of the first tensor that has one."""
    for value in inputs.values():
        if isinstance(value, list):
            return len(value)
        if value is not None and value.ndim:
            return int(value.shape[0])
    return 1


def varying_outputs(call: Call, signature: Signature) -> tuple[str, ...]:
    """The outputs to answer where there is no room for the class labels of a ZipMap, unless those alone were asked for."""
    return tuple(name for name in call.outputs if name not in signature.constant_outputs) or call.outputs
