"""CSV out (RFC 4180): a line for each row, with a line of names before them, or bare.

Floats have the fewest digits that are read back as the same float of their width, because they are JSON's digits: 100,000 rows of
10 float32 take 62 ms, for which Python's csv module takes 740. Lines end in a line feed, which is what transform jobs join by.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, cast

import numpy as np

from app.codecs.byte_strings import is_text
from app.codecs.call import Call, Encoded, ModelTag, batch_size, varying_outputs
from app.codecs.json_output import dumps, jsonable, labels_of
from app.errors import NotAcceptable
from app.tensors import Array, Signature, Value

_WORDS = {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}
_QUOTED = frozenset('",\r\n')


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:  # noqa: ARG001 - names no model
    """Write a table with a line of names; see :class:`app.codecs.call.Writer`.

    :raises NotAcceptable: for an answer that is no table.
    """
    tables = _tables(call, signature, outputs)
    names = [name for output, table in tables.items() for name in _names(output, table, signature, outputs)]
    header = ",".join(map(_quoted, names)).encode() + b"\n"
    return Encoded(header + _rows(call, signature, tables), "text/csv; charset=utf-8; header=present")


class _Bare:
    """The same without the line of names."""

    def encode(self, call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:  # noqa: ARG002
        """Write the rows alone; see :func:`encode`."""
        return Encoded(_rows(call, signature, _tables(call, signature, outputs)), "text/csv; charset=utf-8; header=absent")


bare = _Bare()


def _tables(call: Call, signature: Signature, outputs: Mapping[str, Value]) -> dict[str, Array]:
    """The outputs as ``[N, k]``."""
    if call.top_k:
        raise NotAcceptable("top_k is answered in JSON; accept application/json, or leave it out.")
    found: dict[str, Array] = {}
    for name in varying_outputs(call, signature):
        value = outputs[name]
        if value is None or isinstance(value, list):
            raise NotAcceptable(f"output '{name}' is {signature.output_by_name[name].describe()}, which is no table; accept JSON.")
        rows = len(value) if value.ndim else 1
        first = next(iter(found.values()), None)
        expected = len(first) if first is not None else batch_size(call.inputs) if call.form == "rows" else rows
        if rows != expected:
            raise NotAcceptable(
                f"output '{name}' has {rows} rows where {expected} are expected, so that no table holds it; accept JSON, or leave it out."
            )
        found[name] = value.reshape(rows, prod(value.shape[1:]))
    return found


def _names(output: str, table: Array, signature: Signature, outputs: Mapping[str, Value]) -> list[str]:
    width = table.shape[1]
    if width == 1:
        return [output]
    labels: Sequence[object] = labels_of(width, signature, outputs.get(f"{output}_labels")) or range(width)
    return [f"{output}[{label}]" for label in labels]


def _rows(call: Call, signature: Signature, tables: Mapping[str, Array]) -> bytes:
    policy = call.nan_output or signature.nan_output
    parts = [_cells(name, table, policy) for name, table in tables.items() if table.size]
    lines = parts[0] if len(parts) == 1 else list(map(b",".join, zip(*parts, strict=True)))
    if sum(table.shape[1] for table in tables.values()) == 1:
        # A blank line is no row to any reader.
        lines = [line or b'""' for line in lines]
    return b"\n".join(lines) + b"\n" if lines else b""


def _cells(name: str, table: Array, policy: str) -> list[bytes]:
    """The cells of one output, joined in each row."""
    if table.dtype == object:
        return [",".join(_string(name, cell) for cell in row).encode() for row in table.tolist()]
    # [[1.5,null],[2.5,3.5]] without its brackets
    text = dumps(jsonable(name, table, "error" if policy == "error" else "null"))[2:-2]
    lines = text.replace(b"null", b"").split(b"],[")
    if policy == "string" and table.dtype.kind == "f":
        for row in np.flatnonzero(~np.isfinite(cast(Any, table)).all(axis=1)).tolist():
            cells = zip(lines[row].split(b","), cast(Any, table)[row].tolist(), strict=True)
            lines[row] = b",".join(cell or _WORDS[str(value)] for cell, value in cells)
    return lines


def _string(output: str, text: str) -> str:
    if not is_text(text):
        raise NotAcceptable(f"output '{output}' holds bytes that are no UTF-8 text, which CSV cannot carry; accept JSON.")
    # An empty string keeps its quotes, because a cell without anything is a missing value.
    return _quoted(text) if text else '""'


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if not _QUOTED.isdisjoint(text) else text
