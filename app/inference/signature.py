"""A model's signature, read from its session: names, datatypes, shapes with their symbolic dimension names."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from app.errors import ModelRefused
from app.inference.manifest import Manifest
from app.tensors import BY_ONNX, Datatype, Dimension, Signature, TensorSpec

# ONNX Runtime spells types like `tensor(float)`, `seq(map(int64,tensor(float)))`, `optional(seq(tensor(int64)))`.


class NodeArg(Protocol):
    """What ONNX Runtime says of one input or output."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class MapOutput(NamedTuple):
    """An output of maps from class to score (``ZipMap``), answered as a ``[N, classes]`` tensor and its class labels.

    skl2onnx adds ZipMap to every classifier by default: https://onnx.ai/sklearn-onnx/auto_examples/plot_convert_zipmap.html
    """

    name: str
    labels_name: str
    scores: Datatype
    keys: Datatype


def read(inputs: Sequence[NodeArg], outputs: Sequence[NodeArg], manifest: Manifest) -> tuple[Signature, tuple[MapOutput, ...]]:
    """The signature, and which of its outputs are maps.

    :raises ModelRefused: for a type that no client could send or read, or a manifest that does not fit the graph.
    """
    input_specs = tuple(_tensor_spec(arg) for arg in inputs)
    taken = {arg.name for arg in outputs}
    output_specs: list[TensorSpec] = []
    maps: list[MapOutput] = []
    for arg in outputs:
        pair = _inside(_inside(arg.type, "seq") or arg.type, "map")
        if not pair:
            output_specs.append(_tensor_spec(arg))
            continue
        key, _, scores = pair.partition(",")
        labels_name = f"{arg.name}_labels"
        while labels_name in taken:
            labels_name += "_"
        found = MapOutput(arg.name, labels_name, _datatype(_inside(scores, "tensor"), arg), _datatype(key, arg))
        maps.append(found)
        batch: Dimension = _batch_name(inputs)
        output_specs.append(TensorSpec(arg.name, found.scores, (batch, "classes")))
        output_specs.append(TensorSpec(labels_name, found.keys, ("classes",)))
    loops = _batch_is_fixed_at_one(input_specs, outputs)
    if loops:
        taken_dims = {d for spec in (*input_specs, *output_specs) for d in spec.shape or ()}
        rows = next(name for name in ("batch", "rows", "looped_rows") if name not in taken_dims)
        # To callers a batch that is looped over is a batch like any other.
        input_specs, output_specs = tuple(_with_rows(spec, rows) for spec in input_specs), [_with_rows(s, rows) for s in output_specs]
    signature = Signature(
        input_specs,
        tuple(output_specs),
        loops_over_batch=loops,
        labels=manifest.labels,
        features=manifest.features,
        default_outputs=manifest.default_outputs,
        constant_outputs=frozenset(found.labels_name for found in maps),
        nan_input=manifest.nan_input,
        nan_output=manifest.nan_output,
        image=manifest.image,
    )
    _check_manifest(signature, manifest)
    return signature, tuple(maps)


def _tensor_spec(arg: NodeArg) -> TensorSpec:
    optional = _inside(arg.type, "optional")
    sequence = _inside(optional or arg.type, "seq")
    tensor = _inside(sequence or optional or arg.type, "tensor")
    if not tensor:
        raise ModelRefused(f"'{arg.name}' has the type {arg.type}, which cannot be sent over the wire.")
    # ONNX Runtime reports [] for a scalar and for an unknown rank alike, and never the shape inside a sequence,
    # so [] is taken as unknown and the graph itself is the judge.
    shape = tuple(d if isinstance(d, int) and d >= 0 else (d or None if isinstance(d, str) else None) for d in arg.shape)
    return TensorSpec(arg.name, _datatype(tensor, arg), None if sequence or not shape else shape, bool(sequence), bool(optional))


def _inside(type_name: str, outer: str) -> str:
    """What stands in the brackets of ``outer(…)``; empty for any other type."""
    return type_name[len(outer) + 1 : -1] if type_name.startswith(f"{outer}(") else ""


def _datatype(onnx_name: str, arg: NodeArg) -> Datatype:
    if onnx_name not in BY_ONNX:
        raise ModelRefused(
            f"'{arg.name}' has the datatype {onnx_name}, which no wire format carries; "
            "put a Cast to float16, float or an integer type at that end of the graph."
        )
    return BY_ONNX[onnx_name]


def _batch_name(inputs: Sequence[NodeArg]) -> Dimension:
    first = next((arg.shape[0] for arg in inputs if len(arg.shape)), None)
    return first if isinstance(first, str) else None


def _batch_is_fixed_at_one(inputs: tuple[TensorSpec, ...], outputs: Sequence[NodeArg]) -> bool:
    """Whether every tensor has a first dimension fixed at 1, as exporters leave it behind when the batch is not made dynamic."""
    tensors = [spec for spec in inputs if not (spec.sequence or spec.optional)]
    return (
        bool(tensors)
        and len(tensors) == len(inputs)
        and all(spec.shape is not None and len(spec.shape) > 0 and spec.shape[0] == 1 for spec in tensors)
        and all(_inside(arg.type, "tensor") and len(arg.shape) > 0 and arg.shape[0] == 1 for arg in outputs)
    )


def _with_rows(spec: TensorSpec, rows: str) -> TensorSpec:
    return spec._replace(shape=(rows, *(spec.shape or ())[1:]))


def _check_manifest(signature: Signature, manifest: Manifest) -> None:
    for name in manifest.default_outputs:
        if name not in signature.output_by_name:
            known = ", ".join(signature.output_by_name)
            raise ModelRefused(f"model.toml: 'default_outputs' names '{name}', but the graph's outputs are {known}.")
    if manifest.features:
        shape = signature.inputs[0].shape if len(signature.inputs) == 1 else None
        width = shape[1] if shape is not None and len(shape) == 2 else None
        if shape is None or len(shape) != 2 or (isinstance(width, int) and width != len(manifest.features)):
            raise ModelRefused(
                f"model.toml: 'features' names {len(manifest.features)} columns, which needs a graph with one input of "
                f"shape [N, {len(manifest.features)}]; this one has {signature.describe_inputs()}."
            )
    if manifest.image and manifest.image.input not in {"", *signature.input_by_name}:
        raise ModelRefused(f"model.toml: 'image.input' names '{manifest.image.input}', which is no input of the graph.")
