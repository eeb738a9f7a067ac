"""Arrow tables in: a column of values or of arrays for each input, or a column for each feature. The library is an extra, ``arrow``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from app.codecs import table_columns
from app.codecs.call import Call
from app.codecs.tensor_cast import Where, cast_numbers, cast_strings
from app.codecs.unpacked import check_converted, check_unpacked
from app.errors import NotFinite, Problem, Unreadable, UnsupportedContentType, WrongDatatype, WrongShape
from app.tensors import Array, Signature, TensorSpec, Value


def library() -> Any:
    """The library, imported at its first use: that takes 0.3 s.

    :raises UnsupportedContentType: where it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise UnsupportedContentType(
            "Arrow and Parquet are read by pyarrow, which is not installed here: install requirements/arrow.lock, or build the image with "
            "--build-arg EXTRAS=arrow. Until then send JSON, CSV or NPZ."
        ) from error
    return pa


@contextmanager
def parsing(name: str) -> Iterator[None]:
    """What the library raises of damaged files, as a problem of the caller's.

    :raises Unreadable: with the name of the format.
    """
    try:
        yield
    except Problem:
        raise
    except Exception as error:
        # ArrowInvalid, OSError, UnicodeDecodeError, NotImplementedError, …
        raise Unreadable(f"The body is not in the {name} format, or damaged.") from error


def check_types(schema: Any, signature: Signature) -> None:
    """Check a table's columns before any of it is read.

    :raises WrongDatatype: for a type that no tensor has, or whose values may be more than its bytes.
    :raises Problem: see :func:`app.codecs.table_columns.by_name`.
    """
    table_columns.check_rows(signature)
    table_columns.by_name(schema.names, signature)
    for field in schema:
        if not _is_taken(field.type):
            raise WrongDatatype(f"column '{field.name[:64]}' has the type {str(field.type)[:64]}, which no tensor has; cast it before.")


def _is_taken(kind: Any) -> bool:
    types = library().types
    if isinstance(kind, library().BaseExtensionType):
        # A tensor whose dimensions are stored in another order would have to be turned.
        return not getattr(kind, "permutation", None) and _is_taken(kind.storage_type)
    if types.is_dictionary(kind):
        return not types.is_nested(kind.value_type) and not types.is_dictionary(kind.value_type) and _is_taken(kind.value_type)
    if types.is_fixed_size_list(kind):
        return kind.list_size > 0 and _is_taken(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_taken(kind.value_type)
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or _is_string(kind))


def is_list_of_strings(kind: Any) -> bool:
    """Whether a column's type is arrays, at any depth, of strings."""
    types = library().types
    leaf = kind
    while types.is_nested(leaf) or types.is_dictionary(leaf) or isinstance(leaf, library().BaseExtensionType):
        leaf = leaf.storage_type if isinstance(leaf, library().BaseExtensionType) else leaf.value_type
    return types.is_nested(kind) and _is_string(leaf)


def _is_string(kind: Any) -> bool:
    types = library().types
    binary = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    return bool(binary or types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def call_of(table: Any, signature: Signature, body: bytes) -> Call:
    """A table as a call; its types were checked before, and itself after it was read.

    :raises Problem: naming the row and the column of what is wrong. Rows count from 1.
    """
    if not table.num_rows:
        raise WrongShape("The table has no rows; send at least one.")
    inputs: dict[str, Value] = {}
    columns = table_columns.by_name(table.column_names, signature)
    check_converted(sum(_tensor_bytes(table, position, spec) for spec, positions in columns for position in positions), body)
    for spec, positions in columns:
        parts = [_Column(table, position, spec, signature, body).values() for position in positions]
        if len(parts) > 1 and any(part.ndim > 1 for part in parts):
            raise WrongShape(f"The columns of input '{spec.name}' hold arrays; send one column of arrays, or columns of single values.")
        # Arrays of arrays say their shape themselves.
        inputs[spec.name] = (
            parts[0] if len(parts) == 1 and parts[0].ndim > 2 else table_columns.shaped(_side_by_side(parts, table, spec), spec)
        )
    places = dict.fromkeys(inputs, "")
    signature.check_finite(inputs, places)
    signature.check_shapes(inputs, places)
    return Call(inputs, signature.chosen_outputs(None, ""), form="rows")


def _tensor_bytes(table: Any, position: int, spec: TensorSpec) -> int:
    """What a column of numbers takes in its tensor; strings are counted when they are made."""
    return sum(map(_leaves, table.column(position).chunks)) * (spec.datatype.item_bytes or 0)


def _leaves(chunk: Any) -> int:
    while isinstance(chunk, library().ExtensionArray) or library().types.is_nested(chunk.type):
        chunk = chunk.storage if isinstance(chunk, library().ExtensionArray) else chunk.flatten()
    return len(chunk)


def _side_by_side(parts: list[Array], table: Any, spec: TensorSpec) -> Array:
    if not parts:
        return np.empty((table.num_rows, 0), spec.datatype.numpy)
    return parts[0] if parts[0].ndim > 1 else np.stack(parts, axis=1)


class _Column:
    """One column on its way to a tensor."""

    def __init__(self, table: Any, position: int, spec: TensorSpec, signature: Signature, body: bytes) -> None:
        self._chunks: Sequence[Any] = table.column(position).chunks
        self._name = table.column_names[position][:64]
        self._spec = spec
        self._null_is_nan = spec.datatype.kind == "float" and signature.nan_input == "allow"
        self._body = body

    def values(self) -> Array:
        """The values, ``[N, …]``, in the input's datatype."""
        parts: list[Array] = []
        for chunk in self._chunks:
            parts.append(self._values(chunk, _Rows(self._name, sum(map(len, parts)))))
            if parts[-1].shape[1:] != parts[0].shape[1:]:
                raise WrongShape(f"column '{self._name}' holds arrays of several lengths.")
        return cast(Array, np.concatenate(parts))

    def _values(self, chunk: Any, where: Where) -> Array:
        pa = library()
        if isinstance(chunk, pa.ExtensionArray):
            inner = self._values(chunk.storage, where)
            # Of the types that are taken only a tensor's has a shape.
            return inner.reshape(len(chunk), *getattr(chunk.type, "shape", inner.shape[1:]))
        if pa.types.is_nested(chunk.type):
            return self._arrays(chunk, where)
        if pa.types.is_dictionary(chunk.type):
            if not _is_string(chunk.type.value_type):
                return self._values(chunk.dictionary_decode(), where)
            # Each string of the dictionary is made once, however many rows have it.
            known = [*self._strings(chunk.dictionary), None]
            indices = chunk.indices.cast("int64").fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
            return self._text([known[i] for i in indices.tolist()], where)
        if _is_string(chunk.type):
            return self._text(self._strings(chunk), where)
        if chunk.null_count and not self._null_is_nan:
            self._refuse_null(int(np.argmax(chunk.is_null().to_numpy(zero_copy_only=False))), where)
        # A null becomes NaN here.
        return cast_numbers(chunk.to_numpy(zero_copy_only=False), self._spec, where)

    def _arrays(self, chunk: Any, where: Where) -> Array:
        if chunk.null_count:
            self._refuse_null(int(np.argmax(chunk.is_null().to_numpy(zero_copy_only=False))), where)
        lengths = set(chunk.value_lengths().to_pylist()) if hasattr(chunk, "value_lengths") else {chunk.type.list_size}
        if len(lengths) > 1:
            raise WrongShape(
                f"column '{self._name}' holds arrays of {min(lengths)} to {max(lengths)} values; all must have the same length."
            )
        size = lengths.pop() if lengths else 0
        inner = self._values(chunk.flatten(), lambda at: where((at[0] // size, at[0] % size, *at[1:]) if at else ()))
        return inner.reshape(len(chunk), size, *inner.shape[1:])

    def _strings(self, chunk: Any) -> list[Any]:
        if len(chunk) and (library().types.is_string_view(chunk.type) or library().types.is_binary_view(chunk.type)):
            # Views may show the same bytes any number of times; the first of a view's four integers is its length.
            views = np.frombuffer(chunk.buffers()[1], "<i4", 4 * (chunk.offset + len(chunk))).reshape(-1, 4)
            check_unpacked(int(views[chunk.offset :, 0].sum(dtype=np.int64)), self._body)
        return cast(list[Any], chunk.to_pylist())

    def _text(self, items: list[Any], where: Where) -> Array:
        if None in items:
            self._refuse_null(items.index(None), where)
        # A dictionary's string may stand in every row; ONNX Runtime makes a copy for each.
        check_unpacked(sum(map(len, items)), self._body)
        return cast_strings(items, (len(items),), self._spec, where)

    def _refuse_null(self, row: int, where: Where) -> None:
        kind = NotFinite if self._spec.datatype.kind == "float" else WrongDatatype
        raise kind(f"{where((row,))} is null; the model expects {self._spec.datatype.name}.")


class _Rows:
    """How messages name a place in a column; ``start`` are the rows of the chunks before."""

    def __init__(self, name: str, start: int) -> None:
        self._name, self._start = name, start

    def __call__(self, position: tuple[int, ...]) -> str:
        if not position:
            return f"column '{self._name}'"
        inner = "".join(f"[{i}]" for i in position[1:])
        return f"row {self._start + position[0] + 1} of column '{self._name}'" + (f" at {inner}" if inner else "")
