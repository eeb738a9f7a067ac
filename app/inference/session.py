"""One loaded model: an ONNX Runtime session that takes and gives named NumPy arrays."""

import functools
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, cast

import numpy as np
import onnxruntime as ort

from app.errors import DeadlineExceeded, InputRefusedByModel, ModelRefused, RunFailed
from app.inference import signature as signatures
from app.inference.manifest import Manifest
from app.inference.watchdog import Watchdog
from app.tensors import Array, TensorSpec, Value, bfloat16_bits, bfloat16_values

_BFLOAT16 = 16  # TensorProto.DataType, onnx.proto
_watchdog = Watchdog()
# A process that came by the module another way (a test) may have imported it with telemetry on; this switches the rest off.
ort.disable_telemetry_events()
_FATAL = 4
_MOST_FETCHES = 32
ort.set_default_logger_severity(_FATAL)


def options(*, intra_op_threads: int, optimize: bool) -> ort.SessionOptions:
    """Session options for a small box.

    Thread counts are explicit, because ONNX Runtime would count the host's CPUs and pin to them; spinning would burn the
    CPU credits of the main thread. The memory arena stays on: docs/decisions/0004-memory-arena.md has the measurement.

    :param optimize: False for a prepared graph, which has been through the optimiser at build.
    """
    chosen = ort.SessionOptions()
    chosen.intra_op_num_threads = intra_op_threads
    chosen.inter_op_num_threads = 1
    chosen.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen.add_session_config_entry("session.inter_op.allow_spinning", "0")
    chosen.enable_cpu_mem_arena = True
    # Its log would repeat values of a request on standard error; what goes wrong is raised as well.
    chosen.log_severity_level = _FATAL
    level = ort.GraphOptimizationLevel
    chosen.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    return chosen


class Session:
    """Runs one model. ``run`` may be called from several threads at once."""

    def __init__(self, source: str | bytes, session_options: ort.SessionOptions, manifest: Manifest) -> None:
        """Load from a path or from bytes.

        :raises ModelRefused: when ONNX Runtime cannot load the file, or its signature cannot be served.
        """
        try:
            self._ort = _open(source, session_options)
        except ModelRefused:
            raise
        except Exception as error:
            raise ModelRefused(f"ONNX Runtime cannot load the model: {_reason(error)}") from error
        inputs, outputs = self._ort.get_inputs(), self._ort.get_outputs()
        self.signature, maps = signatures.read(cast(Any, inputs), cast(Any, outputs), manifest)
        self._maps = {found.name: found for found in maps}
        self._map_of_labels = {found.labels_name: found.name for found in maps}
        self._fetches: dict[tuple[str, ...], list[str]] = {}
        self._bfloat16 = any("bfloat16" in arg.type for arg in (*inputs, *outputs))
        others = [s.name for s in self.signature.inputs if s.sequence or s.optional or s.datatype.kind == "string"]
        if self._bfloat16 and others:
            raise ModelRefused(
                f"BF16 beside the string, sequence or optional input '{others[0]}' cannot be fed; put a Cast to float at that end."
            )

    def run(self, inputs: Mapping[str, Value], outputs: Sequence[str], deadline: float | None = None) -> dict[str, Value]:
        """Run the model once (or once for each row, where the graph fixes the batch at 1).

        :param inputs: arrays that were checked against the signature.
        :param outputs: names of the signature's outputs.
        :param deadline: ``time.monotonic()`` seconds at which the run is ended.
        :raises InputRefusedByModel: ONNX Runtime called an input invalid.
        :raises DeadlineExceeded: the run was ended.
        :raises RunFailed: it failed for another reason.
        """
        if self.signature.loops_over_batch:
            rows = {len(cast(Array, value)) for value in inputs.values()}
            if rows != {1}:
                return self._run_rows(inputs, tuple(outputs), deadline, rows.pop())
        return self._run_once(inputs, tuple(outputs), deadline)

    def _run_rows(self, inputs: Mapping[str, Value], outputs: tuple[str, ...], deadline: float | None, rows: int) -> dict[str, Value]:
        if rows == 0:
            # The graph cannot run on nothing; its answer to no rows is no rows.
            specs = [self.signature.output_by_name[name] for name in outputs]
            return {spec.name: np.empty(_no_rows(spec), spec.datatype.numpy) for spec in specs}
        answers = [
            self._run_once({name: cast(Array, value)[i : i + 1] for name, value in inputs.items()}, outputs, deadline) for i in range(rows)
        ]
        return {name: _joined(name, [cast(Array, answer[name]) for answer in answers]) for name in outputs}

    def _run_once(self, inputs: Mapping[str, Value], outputs: tuple[str, ...], deadline: float | None) -> dict[str, Value]:
        fetches = self._fetches.get(outputs) or self._fetches_of(outputs)
        found = self._fetched(inputs, fetches, deadline)
        if not self._maps:
            return dict(zip(outputs, found, strict=True))
        answer: dict[str, Value] = {}
        for name, value in zip(fetches, found, strict=True):
            if name in self._maps:
                self._spread_map(name, value, outputs, answer)
            else:
                answer[name] = value
        return {name: answer[name] for name in outputs}

    def _fetched(self, inputs: Mapping[str, Value], fetches: list[str], deadline: float | None) -> list[Any]:
        run_options: Any = None
        ticket = 0
        if deadline is not None:
            if time.monotonic() >= deadline:
                raise _too_late()
            run_options = ort.RunOptions()
            run_options.log_severity_level = _FATAL
            ticket = _watchdog.watch(run_options, deadline)
        try:
            if self._bfloat16:
                return self._run_ort_values(inputs, fetches, run_options)
            return cast(list[Any], self._ort.run(fetches, inputs, run_options))
        except Exception as error:
            if run_options is not None and run_options.terminate:
                raise _too_late() from error
            if "INVALID_ARGUMENT" in str(error):
                raise InputRefusedByModel(f"The model refuses this input: {_reason(error)}") from error
            node = _failed_node(error)
            raise RunFailed(f"The model's run failed{node}; the log has the reason under this request's id.") from error
        finally:
            if run_options is not None:
                _watchdog.release(ticket)

    def _fetches_of(self, outputs: tuple[str, ...]) -> list[str]:
        """What the graph is asked for: a map for itself and for its labels once."""
        found = list(dict.fromkeys(self._map_of_labels.get(name, name) for name in outputs))
        # What callers may choose is theirs, so the combinations that are kept are few.
        if len(self._fetches) < _MOST_FETCHES:
            self._fetches[outputs] = found
        return found

    def _spread_map(self, name: str, rows: Any, outputs: tuple[str, ...], answer: dict[str, Value]) -> None:
        found = self._maps[name]
        maps: list[dict[Any, Any]] = rows if isinstance(rows, list) else [rows]
        classes = list(maps[0]) if maps else []
        entries = sum(map(len, maps))
        if entries == len(classes) * len(maps) and len(set().union(*maps)) == len(classes):
            # All have the same keys, and ONNX Runtime's maps are in the order of their keys (std::map).
            scores: Array = np.fromiter(chain.from_iterable(map(dict.values, maps)), found.scores.numpy, entries)
        else:
            classes = sorted(set().union(*maps))
            scores = np.array([[row.get(key, 0) for key in classes] for row in maps], found.scores.numpy)
        answer[name] = scores.reshape(len(maps), len(classes))
        if found.labels_name in outputs:
            answer[found.labels_name] = np.array(classes, found.keys.numpy)

    def _run_ort_values(self, inputs: Mapping[str, Value], fetches: list[str], run_options: Any) -> list[Value]:
        feeds = {name: self._ort_value(self.signature.input_by_name[name], value) for name, value in inputs.items()}
        values = self._ort.run_with_ort_values(fetches, feeds, run_options)
        return [_from_ort_value(value) for value in values]

    def _ort_value(self, spec: TensorSpec, value: Value) -> ort.OrtValue:
        assert value is not None
        assert not isinstance(value, list)
        if spec.datatype.name == "BF16":
            return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bfloat16_bits(value), _BFLOAT16)
        return ort.OrtValue.ortvalue_from_numpy(value)


def _open(source: str | bytes, session_options: ort.SessionOptions) -> ort.InferenceSession:
    # Without enable_fallback=0 a failing provider is replaced silently.
    create = functools.partial(ort.InferenceSession, source, session_options, providers=["CPUExecutionProvider"], enable_fallback=0)
    try:
        return create()
    except Exception as error:
        from app.inference import extensions

        if not extensions.are_missing(error):
            raise
        session_options.register_custom_ops_library(extensions.library())
        return create()


def _from_ort_value(value: ort.OrtValue) -> Value:
    if value.data_type() != "tensor(bfloat16)":
        return cast(Value, value.numpy())
    # NumPy has no bfloat16, so ONNX Runtime will not hand the tensor over: read its bytes.
    import ctypes

    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return bfloat16_values(np.frombuffer(raw, np.uint16)).reshape(value.shape())


def _failed_node(error: Exception) -> str:
    """Which operator failed, if ONNX Runtime says: enough to find it in the graph, and nothing of the request."""
    words = str(error).partition("while running ")[2].split()
    return f" in a node {words[0]}" if words and words[0].isalnum() else ""


def _joined(name: str, parts: list[Array]) -> Array:
    try:
        return np.concatenate(parts)
    except ValueError as error:
        raise InputRefusedByModel(
            f"The graph takes one row at a time, and output '{name}' has another shape for each of these rows; send them one by one."
        ) from error


def _no_rows(spec: TensorSpec) -> tuple[int, ...]:
    return (0, *(d if isinstance(d, int) else 0 for d in (spec.shape or (1,))[1:]))


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The run was ended because its time was up; send fewer rows at once, or give the function more time.")


def _reason(error: Exception) -> str:
    """What ONNX Runtime said, without its code and without the places of files, its own or ours."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    # "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : …"
    text = text.split(" : ", 3)[-1] if text.startswith("[ONNXRuntimeError]") else text
    if "construct locale" in text:
        text += " (this machine lacks the locale: generate it, or export the graph with locale C.UTF-8)"
    return " ".join(word if "/" not in word else word.rsplit("/", 1)[-1] for word in text.split())
