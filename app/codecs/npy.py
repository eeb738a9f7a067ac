"""NumPy's file of one array (NEP 1), in and out. Arrays of Python objects are refused by their header: nothing is ever unpickled.

https://numpy.org/neps/nep-0001-npy-format.html
"""

import io
import re
from collections.abc import Mapping
from math import prod
from typing import Any, cast

import numpy as np

from app.codecs.byte_strings import bytes_of, is_text
from app.codecs.call import Call, Encoded, ModelTag, varying_outputs
from app.codecs.tensor_cast import cast_numbers, cast_strings
from app.codecs.unpacked import MOST_BYTES
from app.errors import Invalid, NotAcceptable, OutOfRange, ResultTooLarge, Unreadable, WrongDatatype
from app.tensors import Array, Signature, TensorSpec, Value

_MAGIC = b"\x93NUMPY"
# NumPy's own have 118 bytes and more for long shapes.
_MOST_HEADER_BYTES = 4096
MOST_HEAD_BYTES = 12 + _MOST_HEADER_BYTES
_MOST_DIMENSIONS = 64
_ITEM = re.compile(
    r"""\s*(?P<quote>["'])(?:descr(?P=quote)\s*:\s*["'](?P<type>[^"']{0,40})["']"""
    r"""|fortran_order(?P=quote)\s*:\s*(?P<fortran>True|False)"""
    r"""|shape(?P=quote)\s*:\s*\((?P<shape>[\d,\s]*)\))\s*(?:,|$)"""
)
# NumPy counts the bytes of an item, four for each code point, in a C int.
_TYPE = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|[SU][1-9]\d{0,7})")


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG001 - it has none
    """Read the array of the one input; see :class:`app.codecs.call.Reader`."""
    needed = [spec for spec in signature.inputs if not spec.optional] or list(signature.inputs[:1])
    if len(needed) != 1:
        raise Invalid(
            f"An .npy file holds one array, but the model has {signature.describe_inputs()}; send an .npz with the inputs' names."
        )
    inputs: dict[str, Value] = dict.fromkeys(signature.input_by_name)
    inputs[needed[0].name] = tensor(read(body, "The file"), needed[0], "")
    return checked(inputs, signature, dict.fromkeys(inputs, ""))


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:  # noqa: ARG001 - names no model
    """Write the one output; see :class:`app.codecs.call.Writer`.

    :raises NotAcceptable: for several outputs, or one that is no array of NumPy's.
    """
    names = varying_outputs(call, signature)
    if len(names) != 1:
        raise NotAcceptable(
            f"An .npy file holds one array, but the answer has {', '.join(names)}; choose one with ?outputs={names[-1]}, or by "
            '"default_outputs" in model.toml, or accept application/x-npz.'
        )
    return Encoded(write(names[0], outputs[names[0]], call, signature), "application/x-npy")


def checked(inputs: dict[str, Value], signature: Signature, places: Mapping[str, str]) -> Call:
    """The call of arrays that came in binary.

    :raises Problem: for NaN where the model refuses it everywhere, and for shapes that do not fit.
    """
    signature.check_finite(inputs, places)
    signature.check_shapes(inputs, places)
    return Call(inputs, signature.chosen_outputs(None, ""))


def read(data: bytes, place: str) -> Array:
    """The array in a file, without a copy.

    :param place: how messages begin.
    :raises Unreadable: for what is no such file, or holds more or fewer bytes than it says.
    :raises WrongDatatype: for one that no input takes.
    :raises OutOfRange: for a boolean that is neither 0 nor 1.
    """
    end, dtype, shape, fortran = head(data, place)
    # in Python's integers, before NumPy sees them
    expected = prod(shape) * dtype.itemsize
    if expected != len(data) - end:
        raise Unreadable(f"{place} says {list(shape)} values of {dtype.itemsize} bytes, {expected} in all, but {len(data) - end} follow.")
    flat = np.frombuffer(data, dtype, offset=end)
    if dtype.kind == "U" and flat.size and int(flat.view(np.dtype(np.uint32).newbyteorder(dtype.byteorder)).max()) > 0x10FFFF:
        raise Unreadable(f"{place} holds code points that Unicode does not have.")
    if dtype.kind == "b" and flat.size and int(flat.view(np.uint8).max()) > 1:
        raise OutOfRange(f"{place} has the byte {int(flat.view(np.uint8).max())} among its booleans; a boolean is 0 or 1.")
    try:
        return flat.reshape(shape, order="F" if fortran else "C")
    except ValueError as error:
        raise Unreadable(f"{place} says the impossible shape {list(shape)!s:.200}.") from error


def head(data: bytes, place: str) -> tuple[int, np.dtype[Any], tuple[int, ...], bool]:
    """Where the values begin, their datatype and shape, and whether they stand in Fortran's order; ``MOST_HEAD_BYTES`` of a file are enough.

    :raises Unreadable: for what is no such file.
    :raises WrongDatatype: for one that no input takes.
    """
    if not data.startswith(_MAGIC) or len(data) < 10 or data[6] not in {1, 2, 3}:
        raise Unreadable(f"{place} is not in NumPy's .npy format.")
    start = 10 if data[6] == 1 else 12
    end = start + int.from_bytes(data[8:start], "little")
    if end > min(len(data), start + _MOST_HEADER_BYTES):
        raise Unreadable(f"{place} has a header of {end - start} bytes; NumPy writes about 118, and {_MOST_HEADER_BYTES} are taken.")
    return end, *_header(data[start:end].decode("latin-1"), place)


def _header(text: str, place: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """What the header says; it is a dictionary as Python writes it, whose keys may stand in any order."""
    found: dict[str, str] = {}
    content = text.strip()
    inner = content[1:-1] if content[:1] == "{" and content[-1:] == "}" else ""
    at = 0
    while at < len(inner) and (item := _ITEM.match(inner, at)):
        found |= {name: value for name, value in item.groupdict().items() if value is not None}
        at = item.end()
    if inner[at:].strip() or not {"type", "fortran", "shape"} <= found.keys():
        raise Unreadable(f"{place} has a header that is none of a plain array: structured arrays and Python objects are not taken.")
    if not _TYPE.fullmatch(found["type"]):
        raise WrongDatatype(
            f"{place} has the datatype '{found['type']}', which no input takes; Python objects are never unpickled. Save numbers, booleans "
            "or strings with a dtype of their own (array.astype)."
        )
    sizes = found["shape"].replace(",", " ").split()
    if len(sizes) > _MOST_DIMENSIONS:
        raise Unreadable(f"{place} says {len(sizes)} dimensions; NumPy has at most {_MOST_DIMENSIONS}.")
    return np.dtype(found["type"]), tuple(map(int, sizes)), found["fortran"] == "True"


def tensor(array: Array, spec: TensorSpec, pointer: str) -> Array:
    """An array as the tensor of an input.

    :raises Problem: see :func:`app.codecs.tensor_cast.cast_numbers`.
    """

    def where(position: tuple[int, ...]) -> str:
        place = "".join(f"[{i}]" for i in position)
        return f"input '{spec.name}'" + (f" at {place}" if place else "")

    if spec.sequence:
        raise Invalid(f"input '{spec.name}' is {spec.describe()}, which no file of NumPy's holds; send JSON.", pointer=pointer)
    if array.dtype.kind in "SU":
        return cast_strings(array.reshape(-1).tolist(), array.shape, spec, where, pointer)
    return cast_numbers(array, spec, where, pointer)


def write(name: str, value: Value, call: Call, signature: Signature) -> bytes:
    """An output as a file: BF16, which NumPy has not, as float32; NaN and infinity as they are.

    :raises NotAcceptable: for what is no array of NumPy's.
    """
    if value is None or isinstance(value, list):
        raise NotAcceptable(f"output '{name}' is {signature.output_by_name[name].describe()}, which no file of NumPy's holds; accept JSON.")
    if call.top_k:
        raise NotAcceptable("top_k is answered in JSON; accept application/json, or leave it out.")
    array = _text_array(name, value) if value.dtype == object else np.require(value, requirements="C")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue() + array.tobytes()


def _text_array(name: str, value: Array) -> Array:
    """Strings as NumPy's of a fixed width: Unicode, or bytes where they are no text."""
    items = cast(list[str], value.reshape(-1).tolist())
    textual = all(map(is_text, items))
    found: list[Any] = items if textual else [bytes_of(item) for item in items]
    width = max(map(len, found), default=1)
    if any(item and not (ord(item[-1]) if textual else item[-1]) for item in found):
        raise NotAcceptable(f"output '{name}' has a string that ends in NUL, which NumPy's strings lose; accept JSON.")
    # Every item takes as much as the longest.
    if width * (4 if textual else 1) * len(found) > MOST_BYTES:
        raise ResultTooLarge(f"The strings of output '{name}' would take over {MOST_BYTES} bytes in NumPy's fixed width; accept JSON.")
    return np.array(found, f"{'U' if textual else 'S'}{max(width, 1)}").reshape(value.shape)
