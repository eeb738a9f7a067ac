"""The one table of datatypes (NumPy ⇄ ONNX ⇄ Open Inference ⇄ bytes per item) and what a model takes and gives."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from app.errors import Invalid, MissingInput, NotFinite, UnknownInput, UnknownOutput, WrongShape
from app.images import Image

Array = np.ndarray[Any, np.dtype[np.generic]]
Uint16Array = np.ndarray[Any, np.dtype[np.uint16]]
# What one input or output carries: a tensor, the tensors of an ONNX sequence, or nothing (an empty ONNX optional).
Value = Array | list[Array] | None
# A fixed size, a symbolic name that is bound once per request, or anything.
Dimension = int | str | None


class Datatype(NamedTuple):
    """One row of the table. ``item_bytes`` is the size on the wire, 0 where it varies."""

    name: str  # Open Inference Protocol v2, "Tensor Data Types"
    onnx: str  # as ONNX Runtime spells it inside tensor(...)
    numpy: np.dtype[np.generic]
    item_bytes: int
    kind: Literal["float", "integer", "bool", "string"]

    @property
    def largest(self) -> float:
        """The largest finite value of a float."""
        return BFLOAT16_MAX if self.name == "BF16" else float(np.finfo(cast(Any, self.numpy)).max)


# BF16 has no NumPy dtype: in the program its values are float32, rounded to BF16 where they enter a session
# (ONNX Runtime takes the upper 16 bits of each float32).
DATATYPES: tuple[Datatype, ...] = (
    Datatype("BOOL", "bool", np.dtype(np.bool_), 1, "bool"),
    Datatype("UINT8", "uint8", np.dtype(np.uint8), 1, "integer"),
    Datatype("UINT16", "uint16", np.dtype(np.uint16), 2, "integer"),
    Datatype("UINT32", "uint32", np.dtype(np.uint32), 4, "integer"),
    Datatype("UINT64", "uint64", np.dtype(np.uint64), 8, "integer"),
    Datatype("INT8", "int8", np.dtype(np.int8), 1, "integer"),
    Datatype("INT16", "int16", np.dtype(np.int16), 2, "integer"),
    Datatype("INT32", "int32", np.dtype(np.int32), 4, "integer"),
    Datatype("INT64", "int64", np.dtype(np.int64), 8, "integer"),
    Datatype("FP16", "float16", np.dtype(np.float16), 2, "float"),
    Datatype("BF16", "bfloat16", np.dtype(np.float32), 2, "float"),
    Datatype("FP32", "float", np.dtype(np.float32), 4, "float"),
    Datatype("FP64", "double", np.dtype(np.float64), 8, "float"),
    Datatype("BYTES", "string", np.dtype(np.object_), 0, "string"),
)
BY_NAME = {row.name: row for row in DATATYPES}
BY_ONNX = {row.onnx: row for row in DATATYPES}
BFLOAT16_MAX = 3.3895313892515355e38  # 0x7F7F, the largest finite BF16
# From here on not every whole number is a float64.
EXACT_DOUBLE = 2**53


def escaped(name: str) -> str:
    """A reference token of a JSON Pointer (RFC 6901, section 4)."""
    return name.replace("~", "~0").replace("/", "~1")


def strings(texts: Sequence[str], shape: Sequence[int]) -> Array:
    """A tensor of a graph's strings. NumPy's own conversion of a list would cut NULs off their ends."""
    tensor = np.empty(len(texts), np.object_)
    tensor[:] = texts
    return cast(Array, tensor.reshape(shape))


def elements(value: Value) -> int:
    """How many values there are."""
    if isinstance(value, list):
        return sum(item.size for item in value)
    return 0 if value is None else int(value.size)


def largest(values: Mapping[str, Value]) -> str:
    """The name of what has the most values; empty for nothing."""
    return max(values, key=lambda name: elements(values[name]), default="")


def bfloat16_bits(values: Array) -> Uint16Array:
    """Float32 values as BF16 bit patterns, rounded to nearest, ties to even. What came from BF16 bits gives them back, also a NaN."""
    # not ascontiguousarray, which makes a scalar a vector
    bits = np.asarray(values, dtype=np.float32, order="C").view(np.uint32)
    rounded = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    upper = (bits >> 16).astype(np.uint16)
    # a NaN is cut off, and stays one where all that made it one was cut
    not_numbers = upper | np.where(upper & 0x7F, 0, 0x40).astype(np.uint16)
    return np.where(np.isnan(values.astype(np.float32)), not_numbers, rounded)


def bfloat16_values(bits: Uint16Array) -> Array:
    """BF16 bit patterns as float32 values, exactly."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


class TensorSpec(NamedTuple):
    """What one input or output is. ``shape`` is None where the rank is not known."""

    name: str
    datatype: Datatype
    shape: tuple[Dimension, ...] | None
    sequence: bool = False
    optional: bool = False

    def smallest_shape(self) -> tuple[int, ...]:
        """The shape with every free dimension 1. ONNX Runtime does not tell the rank inside a sequence; 1 is the commonest."""
        return tuple(d if isinstance(d, int) else 1 for d in self.shape or ((1,) if self.sequence else ()))

    def describe(self) -> str:
        """For messages: ``FP32 [batch, 4]``."""
        dims = "any shape" if self.shape is None else f"[{', '.join('?' if d is None else str(d) for d in self.shape)}]"
        text = f"{self.datatype.name} {dims}"
        text = f"a sequence of {text}" if self.sequence else text
        return f"{text} or null" if self.optional else text


@dataclass(slots=True, eq=False, match_args=False)
class Signature:
    """What a model takes and gives, and how its author wants it spoken to."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    # The graph fixes the batch at 1: rows are run one after the other.
    loops_over_batch: bool = False
    labels: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    default_outputs: tuple[str, ...] = ()
    # Outputs that do not vary with the rows: the class labels of a ZipMap.
    constant_outputs: frozenset[str] = frozenset()
    # binary: text formats refuse NaN and infinity, binary ones carry them as every other value
    nan_input: Literal["refuse", "binary", "allow"] = "binary"
    nan_output: Literal["null", "string", "error"] = "null"
    image: Image | None = None
    # False where the graph refused zeros at load, which are then no example of a request
    takes_zeros: bool = True
    input_by_name: dict[str, TensorSpec] = field(init=False, repr=False)
    output_by_name: dict[str, TensorSpec] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.input_by_name = {spec.name: spec for spec in self.inputs}
        self.output_by_name = {spec.name: spec for spec in self.outputs}

    def describe_inputs(self) -> str:
        """For messages: every input with its datatype and shape."""
        return ", ".join(f"'{spec.name}' {spec.describe()}" for spec in self.inputs) or "no inputs"

    def check_input_names(self, names: Collection[str], pointer: str) -> None:
        """Check that every input which the model needs is there, and no other.

        :param pointer: the JSON Pointer of what holds the inputs.
        :raises UnknownInput: or :class:`MissingInput`, with the inputs that the model has.
        """
        for name in names:
            if name not in self.input_by_name:
                raise UnknownInput(
                    f"There is no input '{name[:64]}'; the model expects {self.describe_inputs()}.",
                    pointer=f"{pointer}/{escaped(name[:64])}",
                )
        missing = [spec.name for spec in self.inputs if spec.name not in names and not spec.optional]
        if missing:
            raise MissingInput(
                f"expected {len(self.inputs)} inputs but got {len(names)}: missing required input(s) {', '.join(missing)}; "
                f"the model expects {self.describe_inputs()}.",
                pointer=pointer,
            )

    def chosen_outputs(self, wanted: Sequence[str] | None, pointer: str) -> tuple[str, ...]:
        """The outputs to compute: those that are wanted, or for None the manifest's choice, or all.

        :param pointer: the JSON Pointer of the list.
        :raises UnknownOutput: with the outputs that the model has.
        :raises Invalid: for one that is named twice.
        """
        if wanted is None:
            return self.default_outputs or tuple(self.output_by_name)
        for i, name in enumerate(wanted):
            if name not in self.output_by_name:
                known = ", ".join(self.output_by_name)
                raise UnknownOutput(f"There is no output '{name[:64]}'; the model has {known}.", pointer=f"{pointer}/{i}")
            if name in wanted[:i]:
                raise Invalid(f"output '{name}' already exists in request.", pointer=f"{pointer}/{i}")
        return tuple(wanted)

    def check_finite(self, values: Mapping[str, Value], places: Mapping[str, str]) -> None:
        """Check what came in binary for NaN and infinity, where ``model.toml`` refuses them in every format.

        :raises NotFinite: naming the input and the first position.
        """
        if self.nan_input != "refuse":
            return
        for name, value in values.items():
            for tensor in value if isinstance(value, list) else () if value is None else (value,):
                if tensor.dtype.kind == "f" and not (finite := np.isfinite(cast(Any, tensor))).all():
                    place = np.argwhere(~finite)[0].tolist()
                    raise NotFinite(
                        f"input '{name}' at {place} is {tensor[tuple(place)]}; the model expects finite numbers.", pointer=places[name]
                    )

    def check_shapes(self, values: Mapping[str, Value], places: Mapping[str, str]) -> None:
        """Check every tensor against its declared shape, binding each symbolic dimension once for the request.

        :param places: the JSON Pointer of each input in the request.

        :raises WrongShape: naming the input, what came, what the model expects, and which other input bound the dimension.
        """
        bound: dict[str, tuple[int, str]] = {}
        for name, value in values.items():
            spec = self.input_by_name[name]
            for tensor in value if isinstance(value, list) else () if value is None else (value,):
                _check_shape(spec, tensor.shape, bound, places[name])


def _check_shape(spec: TensorSpec, shape: Sequence[int], bound: dict[str, tuple[int, str]], pointer: str) -> None:
    if spec.shape is None:
        return
    if len(shape) != len(spec.shape):
        raise WrongShape(
            f"unexpected shape for input '{spec.name}': got {list(shape)} (rank {len(shape)}), "
            f"the model expects {spec.describe()} (rank {len(spec.shape)}).",
            pointer=pointer,
        )
    for axis, (got, expected) in enumerate(zip(shape, spec.shape, strict=True)):
        if isinstance(expected, int):
            if got != expected:
                raise WrongShape(
                    f"unexpected shape for input '{spec.name}': got {list(shape)}, the model expects {spec.describe()}: "
                    f"dimension {axis} must be {expected}, not {got}.",
                    pointer=pointer,
                )
        elif isinstance(expected, str):
            size, by = bound.setdefault(expected, (got, spec.name))
            if size != got:
                raise WrongShape(
                    f"unexpected shape for input '{spec.name}': got {list(shape)}, the model expects {spec.describe()}: "
                    f"dimension {axis} is '{expected}', which input '{by}' of the same request set to {size}, not {got}.",
                    pointer=pointer,
                )
