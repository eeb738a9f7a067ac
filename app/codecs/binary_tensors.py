"""Tensors as raw bytes, little-endian and row-major, as Open Inference's binary tensor data extension has them.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from collections.abc import Sequence
from math import prod
from struct import Struct
from typing import Any, cast

import numpy as np

from app.codecs.byte_strings import bytes_of, text_of
from app.errors import Invalid, OutOfRange, Unreadable
from app.tensors import Array, Datatype, TensorSpec, bfloat16_bits, bfloat16_values, strings

# Before each BYTES element: its length in bytes.
_LENGTH = Struct("<I")


def from_bytes(raw: memoryview, spec: TensorSpec, shape: Sequence[int], pointer: str) -> Array:
    """A tensor of ``shape`` in the datatype of ``spec``; BF16 becomes float32, BYTES the strings of the graph.

    Where it can be, it is a read-only view of ``raw``: nothing is copied, and nothing is allocated before the sizes agree.
    ONNX Runtime exists for little-endian machines only, so the bytes are this machine's own.

    :raises Unreadable: when ``raw`` does not have the bytes that ``shape`` takes.
    :raises OutOfRange: for a BOOL that is neither 0 nor 1.
    :raises Invalid: for BYTES whose lengths do not add up.
    """
    count, datatype = prod(shape), spec.datatype
    if datatype.kind == "string":
        return strings(_texts(raw, spec.name, count, pointer), shape)
    if count * datatype.item_bytes != len(raw):
        raise Unreadable(
            f"input byte size mismatch for input '{spec.name}': {datatype.name} {list(shape)} takes "
            f"{_number(count * datatype.item_bytes)} bytes, got {len(raw)}.",
            pointer=pointer,
        )
    if datatype.name == "BF16":
        return bfloat16_values(np.frombuffer(raw, np.uint16)).reshape(shape)
    if datatype.kind == "bool":
        flags = np.frombuffer(raw, np.uint8)
        if flags.size and flags.max() > 1:
            place = int(np.argmax(flags > 1))
            raise OutOfRange(f"input '{spec.name}' has the byte {flags[place]} at {place}; a BOOL is 0 or 1.", pointer=pointer)
        return cast(Array, flags.view(np.bool_).reshape(shape))
    tensor = np.frombuffer(raw, cast(Any, datatype.numpy)).reshape(shape)
    # The JSON before it has any length. Compilers vectorise loops over numbers that start at a multiple of their size;
    # a copy of a million float32 takes 0.1 ms.
    return tensor if tensor.flags.aligned else tensor.copy()


def _texts(raw: memoryview, name: str, count: int, pointer: str) -> list[str]:
    size, at = len(raw), 0
    texts: list[str] = []
    # Slices of bytes take half the time of slices of a view.
    content, length_at = raw.tobytes(), _LENGTH.unpack_from
    # An element takes four bytes at least, so that a count which cannot be there allocates nothing.
    if count * _LENGTH.size <= size:
        for _ in range(count):
            start = at + _LENGTH.size
            if start > size:
                break
            at = start + length_at(content, at)[0]
            if at > size:
                break
            texts.append(text_of(content[start:at]))
    if len(texts) < count:
        raise Invalid(
            f"expected {_number(count)} string elements for input '{name}', but its {size} bytes end before: incomplete string length "
            "indicator, or fewer bytes than it says. Each element is its length (4 bytes, little-endian) and its bytes.",
            pointer=pointer,
        )
    if at != size:
        raise Invalid(f"expected {count} string elements for input '{name}', but {size - at} bytes follow them.", pointer=pointer)
    return texts


def _number(value: int) -> str:
    return str(value) if value < 2**63 else "more than 2^63"


def to_bytes(value: Array, datatype: Datatype) -> bytes | memoryview:
    """The bytes of a tensor; a view of it where it is stored like that."""
    if datatype.kind == "string":
        pieces = [bytes_of(text) for text in value.reshape(-1).tolist()]
        return b"".join([part for piece in pieces for part in (_LENGTH.pack(len(piece)), piece)])
    stored = bfloat16_bits(value) if datatype.name == "BF16" else np.ascontiguousarray(value)
    return stored.reshape(-1).view(np.uint8).data
