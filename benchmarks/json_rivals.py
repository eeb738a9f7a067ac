"""Other ways to turn a JSON tensor into an array and back, the fastest known among them.

A decoder gets the whole document `{"inputs": {"X": …}}` and the shape to expect; only `json` and orjson would notice a ragged
tensor or a null, so the others are faster than a server may be.
"""

import importlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import simdjson

Array = npt.NDArray[np.float32]
Decoder = Callable[[bytes, tuple[int, ...]], Array]
Encoder = Callable[[Array], bytes]
_parser = simdjson.Parser()  # kept: a new one for each document touches new memory for each


def _json_decode(document: bytes, _shape: tuple[int, ...]) -> Array:
    return np.asarray(json.loads(document)["inputs"]["X"], np.float32)


def _orjson_decode(document: bytes, _shape: tuple[int, ...]) -> Array:
    return np.asarray(orjson.loads(document)["inputs"]["X"], np.float32)


def _simdjson_decode(document: bytes, shape: tuple[int, ...]) -> Array:
    tensor: Any = _parser.parse(document)["inputs"]["X"]  # type: ignore[index]
    return np.frombuffer(tensor.as_buffer(of_type="d"), np.float64).astype(np.float32).reshape(shape)


def _json_encode(array: Array) -> bytes:
    return json.dumps({"outputs": {"Y": array.tolist()}}).encode()


def _orjson_encode(array: Array) -> bytes:
    return orjson.dumps({"outputs": {"Y": array}}, option=orjson.OPT_SERIALIZE_NUMPY)


DECODERS: dict[str, Decoder] = {
    "json": _json_decode,
    "orjson": _orjson_decode,
    "pysimdjson as_buffer": _simdjson_decode,
}
ENCODERS: dict[str, Encoder] = {"json": _json_encode, "orjson, NumPy": _orjson_encode}


def add_msgspec() -> None:
    """Measure msgspec too where somebody has installed it; it is no dependency of this project."""
    try:
        codec: Any = importlib.import_module("msgspec.json")
    except ImportError:
        return
    by_rank = {
        1: codec.Decoder(dict[str, dict[str, list[float]]]),
        2: codec.Decoder(dict[str, dict[str, list[list[float]]]]),
    }

    def decode(document: bytes, shape: tuple[int, ...]) -> Array:
        return np.asarray(by_rank[len(shape)].decode(document)["inputs"]["X"], np.float32)

    def encode(array: Array) -> bytes:
        encoded: bytes = codec.encode({"outputs": {"Y": array.tolist()}})
        return encoded

    DECODERS["msgspec"] = decode
    ENCODERS["msgspec"] = encode


add_msgspec()
