"""What every codec gives and takes: a decoded request, and a model's answer on its way out."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

from app.tensors import Signature, Value


class Call(NamedTuple):
    """A request as arrays that fit the signature. ``outputs`` are the names to compute, in the order to answer them."""

    inputs: dict[str, Value]
    outputs: tuple[str, ...]
    form: Literal["columns", "rows"] = "columns"
    id: str | None = None
    top_k: int = 0


class ModelTag(NamedTuple):
    """Which model answered."""

    name: str
    version: str
    digest: str


class Codec(Protocol):
    """A pair of pure functions for one content type of one dialect."""

    content_type: str

    def decode(self, body: bytes, signature: Signature) -> Call:
        """Bytes to checked arrays.

        :raises Unreadable: the bytes are not of this format.
        :raises Invalid: they do not fit the signature.
        """

    def encode(self, call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> bytes:
        """The answer as bytes.

        :raises OutputNotFinite: by the model's NaN policy.
        """


def batch_size(inputs: Mapping[str, Any]) -> int:
    """The number of rows: the first dimension of the first tensor that has one."""
    for value in inputs.values():
        if isinstance(value, list):
            return len(value)
        if value is not None and value.ndim:
            return int(value.shape[0])
    return 1
