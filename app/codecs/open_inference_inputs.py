"""The ``inputs`` of an Open Inference request: JSON tensors and raw ones behind the JSON, in any mixture, as checked arrays."""

from collections.abc import Mapping
from math import prod
from typing import Any

from app.codecs import SIZE_HEADER, binary_tensors, json_tensor
from app.codecs.byte_strings import text_of
from app.errors import Invalid, UnknownInput, Unreadable, WrongDatatype, WrongShape
from app.tensors import Array, Signature, TensorSpec, Value, strings

# NumPy's limit
_MOST_DIMENSIONS = 64
# A tensor with values is as large as its body; what an empty one claims beside its zero could make a graph allocate anything.
_MOST_BESIDE_ZERO = 2**24


def from_document(listed: Any, raw: memoryview, signature: Signature) -> dict[str, Value]:
    """The tensors that a request lists.

    :param listed: the value of ``"inputs"``.
    :param raw: what follows the JSON.
    :raises Problem: see :class:`app.codecs.call.Reader`.
    """
    if type(listed) is not list:
        raise Invalid(f'"inputs" must be an array of tensors; the model expects {signature.describe_inputs()}.', pointer="/inputs")
    specs = [signature.input_by_name[name] for name in _names(listed, signature)]
    found: dict[str, Value] = {}
    in_binary: dict[str, Value] = {}
    places: dict[str, str] = {}
    at = 0
    for i, (item, spec) in enumerate(zip(listed, specs, strict=True)):
        pointer = f"/inputs/{i}"
        _check_datatype(item.get("datatype"), spec, pointer)
        shape = _shape(item.get("shape"), spec, f"{pointer}/shape")
        places[spec.name] = f"{pointer}/shape"
        parameters = object_of(item, "parameters", pointer)
        if "binary_data_size" in parameters:
            piece = _raw(item, spec, raw[at:], pointer)
            at += len(piece)
            found[spec.name] = in_binary[spec.name] = binary_tensors.from_bytes(piece, spec, shape, pointer)
        else:
            refuse_shared_memory(parameters, f"{pointer}/parameters")
            found[spec.name] = _from_json(item, spec, shape, pointer, allow_nan=signature.nan_input == "allow")
    if at != len(raw):
        raise Unreadable(f"{len(raw)} bytes follow the JSON, but the inputs' binary_data_size add up to {at}.", pointer="/inputs")
    signature.check_shapes(found, places)
    signature.check_finite(in_binary, places)
    # What ONNX calls optional may be left out.
    return {name: found.get(name) for name in signature.input_by_name}


def _names(listed: list[Any], signature: Signature) -> list[str]:
    """The inputs' names: every one that the model needs, each once, and no other."""
    names: list[str] = []
    for i, item in enumerate(listed):
        if type(item) is not dict or type(item.get("name")) is not str:
            raise Invalid('Every input must be an object with "name", "shape", "datatype" and "data".', pointer=f"/inputs/{i}")
        if item["name"] in names:
            raise Invalid(f"input '{item['name'][:64]}' already exists in request.", pointer=f"/inputs/{i}/name")
        names.append(item["name"])
        # However long the list is, no more of it is compared than the model has inputs.
        if item["name"] not in signature.input_by_name:
            break
    try:
        signature.check_input_names(names, "/inputs")
    except UnknownInput as problem:
        # by its place here rather than by its name
        problem.pointer = f"/inputs/{len(names) - 1}/name"
        raise
    return names


def _check_datatype(datatype: Any, spec: TensorSpec, pointer: str) -> None:
    if spec.sequence:
        raise Invalid(
            f"input '{spec.name}' is {spec.describe()}, for which Open Inference has no form; send it to POST /models/<name>/predict.",
            pointer=pointer,
        )
    if datatype != spec.datatype.name:
        got = f"'{datatype[:64]}'" if type(datatype) is str else "no string"
        raise WrongDatatype(
            f"inference input '{spec.name}' data-type is {got}, model expects '{spec.datatype.name}'.", pointer=f"{pointer}/datatype"
        )


def _shape(shape: Any, spec: TensorSpec, pointer: str) -> tuple[int, ...]:
    if type(shape) is not list or len(shape) > _MOST_DIMENSIONS or not all(type(size) is int and size >= 0 for size in shape):
        raise WrongShape(
            f"input '{spec.name}': \"shape\" must be an array of at most {_MOST_DIMENSIONS} whole numbers that are not negative; "
            f"the model expects {spec.describe()}.",
            pointer=pointer,
        )
    if 0 in shape and prod(size for size in shape if size) > _MOST_BESIDE_ZERO:
        raise WrongShape(
            f"unexpected shape for input '{spec.name}': got {shape}; beside a zero the dimensions of an empty tensor may multiply "
            f"to {_MOST_BESIDE_ZERO} at most.",
            pointer=pointer,
        )
    return tuple(shape)


def _raw(item: Mapping[str, Any], spec: TensorSpec, rest: memoryview, pointer: str) -> memoryview:
    size = item["parameters"]["binary_data_size"]
    if type(size) is not int or size < 0:
        raise Invalid(
            f"input '{spec.name}': \"binary_data_size\" must be a whole number of bytes.", pointer=f"{pointer}/parameters/binary_data_size"
        )
    # kserve writes "data": null beside an empty raw tensor
    if item.get("data") is not None:
        raise Invalid(f'input \'{spec.name}\' has both "data" and "binary_data_size"; send one of them.', pointer=pointer)
    if size > len(rest):
        raise Unreadable(
            f"input '{spec.name}' has a binary_data_size of {size}, but only {len(rest)} bytes are left for it behind the JSON. The header "
            f"{SIZE_HEADER} says where the JSON ends and the tensors begin.",
            pointer=f"{pointer}/parameters/binary_data_size",
        )
    return rest[:size]


def _from_json(item: Mapping[str, Any], spec: TensorSpec, shape: tuple[int, ...], pointer: str, *, allow_nan: bool) -> Array:
    data = item.get("data")
    if data is None:
        raise Invalid(
            f'input \'{spec.name}\' has no "data", and no "binary_data_size" among its parameters to say that it follows the JSON.',
            pointer=pointer,
        )
    tensor = json_tensor.decode(data, spec, f"{pointer}/data", allow_nan=allow_nan)
    assert tensor is not None
    assert not isinstance(tensor, list)
    if tensor.size != prod(shape):
        raise WrongShape(
            f"Unable to parse 'data': Shape does not match true shape of 'data' field: input '{spec.name}' has the shape {list(shape)}, "
            f"but its data has {tensor.size} elements.",
            pointer=f"{pointer}/data",
        )
    return tensor.reshape(shape)


def from_raw_body(body: bytes, signature: Signature) -> dict[str, Value]:
    """The only tensor of a request that is nothing but its bytes: its shape follows from their number.

    :raises Invalid: for a model whose input cannot be told from a number of bytes.
    :raises Unreadable: for a number of bytes that no such tensor has.
    """
    if len(signature.inputs) != 1:
        raise Invalid(
            f"Raw request must only have 1 input to be deduced, but the model has {signature.describe_inputs()}; send a JSON header with "
            f"a binary_data_size for each, and its length in {SIZE_HEADER}.",
            pointer="",
        )
    (spec,) = signature.inputs
    if spec.shape is None or spec.sequence or sum(type(size) is not int for size in spec.shape) > 1:
        raise Invalid(
            f"The shape of the raw input '{spec.name}' can not be deduced because there are more than one variable-sized dimension: the "
            f"model expects {spec.describe()}. Send a JSON header with the shape, and its length in {SIZE_HEADER}.",
            pointer="",
        )
    smallest = spec.smallest_shape()
    if spec.datatype.kind == "string":
        if prod(smallest) != 1:
            raise Invalid(
                f"For BYTE datatype raw input '{spec.name}', the model must have input shape [1], but it has {spec.describe()}.", pointer=""
            )
        return {spec.name: strings([text_of(body)], smallest)}
    row_bytes = prod(smallest) * spec.datatype.item_bytes
    rows = len(body) // row_bytes if row_bytes else 0
    shape = tuple(size if type(size) is int else rows for size in spec.shape)
    tensor = binary_tensors.from_bytes(memoryview(body), spec, shape, "")
    signature.check_finite({spec.name: tensor}, {spec.name: ""})
    return {spec.name: tensor}


def refuse_shared_memory(parameters: Mapping[str, Any], pointer: str) -> None:
    """Refuse a tensor that is said to lie in, or to be answered into, memory of the caller's machine."""
    if "shared_memory_region" in parameters:
        raise Invalid(
            "Shared memory is not offered: client and server do not share a machine; send tensors in the body.",
            pointer=f"{pointer}/shared_memory_region",
        )


def object_of(item: Mapping[str, Any], key: str, pointer: str) -> dict[str, Any]:
    """The object under ``key``; empty where there is none."""
    found = item.get(key)
    if found is None:
        return {}
    if type(found) is not dict:
        raise Invalid(f'"{key}" must be an object.', pointer=f"{pointer}/{key}")
    return found
