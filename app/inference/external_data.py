"""Which files a graph's weights lie in, and that none of them is outside the model's folder.

ONNX Runtime checks paths as well; this comes first, because such paths have been a way in
(https://github.com/onnx/onnx/security/advisories), and because the files have to be hashed. The protobuf is walked by hand:
the onnx package would cost 100 ms of every cold start, and the walk is only taken by graphs that have the word in them.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from app.errors import ModelRefused

# onnx.proto: for each message, the fields that lead to a TensorProto. field number → message
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_DEEPEST = 200


def external_files(graph: bytes | mmap.mmap, folder: Path) -> list[Path]:
    """The external-data files of a graph.

    :raises ModelRefused: for a path that is absolute or leaves the model's folder (also by a link), and for a file that is missing.
    """
    if graph.find(b"location") < 0:
        return []
    found: list[Path] = []
    for location in _locations(graph, 0, len(graph), "model", 0):
        path = _inside(location, folder)
        if path not in found:
            found.append(path)
    return found


def _inside(location: str, folder: Path) -> Path:
    shown = f"the graph names the external-data file {location[:80]!r}"
    path = folder / location
    if "\x00" in location or "\\" in location or Path(location).is_absolute() or ".." in Path(location).parts:
        raise ModelRefused(f"{shown}, which is not inside the model's folder.")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelRefused(f"{shown}, which leaves the model's folder.")
    if not path.is_file():
        raise ModelRefused(f"{shown}, which is missing.")
    if path.stat().st_nlink > 1 and path.stat().st_uid != folder.stat().st_uid:
        raise ModelRefused(f"{shown}, which is a hard link to another owner's file.")
    return path


def _locations(data: bytes | mmap.mmap, at: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ModelRefused("the graph nests deeper than any exporter writes.")
    fields = _FIELDS[message]
    for field, start, stop in _submessages(data, at, end):
        inner = fields.get(field)
        if inner == "entry":
            key, value = b"", b""
            for part, first, last in _submessages(data, start, stop):
                key, value = (data[first:last], value) if part == 1 else (key, data[first:last])
            if key == b"location":
                yield value.decode("utf-8", "backslashreplace")
        elif inner is not None:
            yield from _locations(data, start, stop, inner, depth + 1)


def _submessages(data: bytes | mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """``(field, start, stop)`` of every length-delimited field (protobuf wire format)."""
    while at < end:
        tag, at = _varint(data, at, end)
        kind = tag & 7
        if kind == 2:
            length, at = _varint(data, at, end)
            if length > end - at:
                raise _damaged()
            yield tag >> 3, at, at + length
            at += length
        elif kind == 0:
            _, at = _varint(data, at, end)
        elif kind in {1, 5}:
            at += 8 if kind == 1 else 4
        else:
            raise _damaged()


def _varint(data: bytes | mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
    raise _damaged()


def _damaged() -> ModelRefused:
    return ModelRefused("the graph is damaged: it is not what its lengths say.")
