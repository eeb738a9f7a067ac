"""Tensors of every datatype, for the tests of codecs."""

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from app.codecs.call import Call, ModelTag
from app.errors import Problem
from app.tensors import BFLOAT16_MAX, BY_NAME, Array, Datatype, Signature, TensorSpec, bfloat16_bits, bfloat16_values

TAG = ModelTag("m", "1", "sha256:0")
NO_PARAMETERS: dict[str, str] = {}


def spec(name: str, datatype: str = "FP32", *dims: int | str | None) -> TensorSpec:
    """An input or output; its first dimension is free unless others are given."""
    return TensorSpec(name, BY_NAME[datatype], dims or ("n",))


def echo(*specs: TensorSpec, **more: Any) -> Signature:
    """A model that gives what it takes."""
    return Signature(specs, specs, **more)


def call_for(values: dict[str, Any], signature: Signature, **more: Any) -> Call:
    """A call whose inputs are these values too, so that the number of rows is theirs."""
    return Call(values, signature.chosen_outputs(None, ""), **more)


def outcome(decode: Any, body: bytes, signature: Signature, parameters: dict[str, str] | None = None) -> Any:
    """What a decoder makes of a body: the inputs as lists, or the code of the problem that it is. Anything else that is raised goes on."""
    try:
        call = decode(body, parameters or NO_PARAMETERS, signature)
    except Problem as problem:
        return problem.code
    return {name: None if value is None else value.tolist() for name, value in call.inputs.items()}


def arrays(datatype: Datatype, shape: tuple[int, ...], *, text: Any = None, finite: bool = True) -> st.SearchStrategy[Array]:
    """Arrays of a datatype and shape.

    :param text: a strategy for the strings of BYTES.
    """
    items: st.SearchStrategy[Any]
    if datatype.kind == "string":
        items = text if text is not None else st.text(st.characters(codec="utf-8"), max_size=6)
    elif datatype.kind == "bool":
        items = st.booleans()
    elif datatype.kind == "integer":
        limits = np.iinfo(datatype.numpy)
        items = st.integers(int(limits.min), int(limits.max))
    else:
        width = {"FP16": 16, "FP64": 64}.get(datatype.name, 32)
        items = st.floats(width=width, allow_nan=not finite, allow_infinity=not finite)
        if datatype.name == "BF16":
            items = items.filter(lambda x: not abs(x) > BFLOAT16_MAX or math.isinf(x))
    size = math.prod(shape)

    def made(values: list[Any]) -> Array:
        array = np.empty(size, datatype.numpy)
        array[:] = values
        array = bfloat16_values(bfloat16_bits(array)) if datatype.name == "BF16" else array
        return array.reshape(shape)

    return st.lists(items, min_size=size, max_size=size).map(made)


def mutated(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Files that are nearly valid: some bytes replaced, removed or put in, or the end cut off."""

    def change(args: tuple[bytes, list[tuple[int, int, bytes]], int]) -> bytes:
        body, edits, kept = args
        for at, length, put in edits:
            place = at % (len(body) + 1)
            body = body[:place] + put + body[place + length :]
        return body[: len(body) - kept] if kept else body

    edits = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 8), st.binary(max_size=8)), max_size=4)
    return st.tuples(st.sampled_from(seeds), edits, st.just(0) | st.integers(0, 200)).map(change)
