"""Small ONNX graphs, made here, each with one property that a served model may have."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

Dims = Sequence[int | str | None] | None


def tensor(name: str, kind: int, dims: Dims) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


def model(
    nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto], **constants: np.ndarray
) -> bytes:
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)])
    made.ir_version = 9
    onnx.checker.check_model(made)
    return made.SerializeToString()


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: object) -> onnx.NodeProto:
    domain = "ai.onnx.ml" if op == "ZipMap" else ""
    return helper.make_node(op, list(inputs), list(outputs), domain=domain, **attributes)


def identity(kind: int, dims: Dims = ("n",)) -> bytes:
    return model([node("Identity", ["x"], ["y"])], [tensor("x", kind, dims)], [tensor("y", kind, dims)])


def copied_bytes() -> bytes:
    """A string as it is, twice: by a name that TensorFlow Serving takes for one of bytes, and by another."""
    nodes = [node("Identity", ["x"], ["copy_bytes"]), node("Identity", ["x"], ["copy"])]
    return model(nodes, [tensor("x", T.STRING, ["n"])], [tensor("copy_bytes", T.STRING, ["n"]), tensor("copy", T.STRING, ["n"])])


def mixed() -> bytes:
    """Inputs of three kinds, each as it is."""
    kinds = {"a": (T.FLOAT, ["n", "m"]), "b": (T.BOOL, ["k"]), "s": (T.STRING, ["j"])}
    nodes = [node("Identity", [name], [f"{name}_out"]) for name in kinds]
    inputs = [tensor(name, *kind) for name, kind in kinds.items()]
    return model(nodes, inputs, [tensor(f"{name}_out", *kind) for name, kind in kinds.items()])


def uneven() -> bytes:
    """An output with a value for each row, and one with two."""
    nodes = [node("Identity", ["x"], ["once"]), node("Concat", ["x", "x"], ["twice"], axis=0)]
    return model(nodes, [tensor("x", T.FLOAT, ["n"])], [tensor("once", T.FLOAT, ["n"]), tensor("twice", T.FLOAT, ["m"])])


def two_inputs() -> bytes:
    """Token ids and their mask: both of one symbolic length."""
    dims = ["batch", "seq"]
    nodes = [node("Mul", ["input_ids", "attention_mask"], ["masked"])]
    inputs = [tensor("input_ids", T.INT64, dims), tensor("attention_mask", T.INT64, dims)]
    return model(nodes, inputs, [tensor("masked", T.INT64, dims)])


def fixed_batch() -> bytes:
    """Exported with a batch of exactly 1."""
    nodes = [node("ReduceSum", ["x", "axes"], ["sum"], keepdims=1), node("Relu", ["x"], ["relu"])]
    outputs = [tensor("sum", T.FLOAT, [1, 1]), tensor("relu", T.FLOAT, [1, 3])]
    return model(nodes, [tensor("x", T.FLOAT, [1, 3])], outputs, axes=np.array([1], np.int64))


def fixed_batch_nonzero() -> bytes:
    """A batch of exactly 1, and an answer whose length depends on the values."""
    nodes = [node("Squeeze", ["x", "axes"], ["flat"]), node("NonZero", ["flat"], ["where"])]
    return model(nodes, [tensor("x", T.FLOAT, [1, 4])], [tensor("where", T.INT64, [1, "found"])], axes=np.array([0], np.int64))


def scalar() -> bytes:
    return model([node("Add", ["x", "one"], ["y"])], [tensor("x", T.FLOAT, [])], [tensor("y", T.FLOAT, [])], one=np.array(1, np.float32))


def sequence_output() -> bytes:
    """A tensor split into a sequence of tensors of unequal length."""
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(T.FLOAT, None))
    nodes = [node("SplitToSequence", ["x", "sizes"], ["parts"], axis=0)]
    return model(nodes, [tensor("x", T.FLOAT, ["n"])], [helper.make_value_info("parts", kind)], sizes=np.array([1, 2], np.int64))


def sequence_input() -> bytes:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(T.FLOAT, ["n"]))
    nodes = [node("ConcatFromSequence", ["parts"], ["y"], axis=0)]
    return model(nodes, [helper.make_value_info("parts", kind)], [tensor("y", T.FLOAT, ["m"])])


def optional_input() -> bytes:
    """Says whether its optional input was given."""
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(T.FLOAT, ["n"]))
    nodes = [node("OptionalHasElement", ["x"], ["given"])]
    return model(nodes, [helper.make_value_info("x", kind)], [tensor("given", T.BOOL, [])])


def optional_output() -> bytes:
    """An optional that is empty, and one that is not."""
    inner = helper.make_tensor_type_proto(T.FLOAT, ["n"])
    kind = helper.make_optional_type_proto(inner)
    nodes = [node("Optional", ["x"], ["full"]), node("Optional", [], ["empty"], type=inner)]
    return model(nodes, [tensor("x", T.FLOAT, ["n"])], [helper.make_value_info("full", kind), helper.make_value_info("empty", kind)])


def zipmap(labels: Sequence[str] | Sequence[int]) -> bytes:
    """Scores as maps from class to score, as skl2onnx exports classifiers."""
    key = T.STRING if isinstance(labels[0], str) else T.INT64
    attribute = {"classlabels_strings": list(labels)} if isinstance(labels[0], str) else {"classlabels_int64s": list(labels)}
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(key, helper.make_tensor_type_proto(T.FLOAT, [])))
    nodes = [node("ZipMap", ["x"], ["scores"], **attribute)]
    return model(nodes, [tensor("x", T.FLOAT, ["n", len(labels)])], [helper.make_value_info("scores", kind)])


def pick() -> bytes:
    """Row number ``index`` of ten: an index out of range is the input's fault."""
    inputs = [tensor("index", T.INT64, ["n"])]
    return model(
        [node("Gather", ["table", "index"], ["row"])], inputs, [tensor("row", T.FLOAT, ["n"])], table=np.arange(10, dtype=np.float32)
    )


def brittle() -> bytes:
    """A number of ten for each float: one of ten or more fails the run, and all that is in it."""
    nodes = [node("Cast", ["x"], ["index"], to=T.INT64), node("Gather", ["table", "index"], ["y"])]
    table = np.arange(10, dtype=np.float32)
    return model(nodes, [tensor("x", T.FLOAT, ["n"])], [tensor("y", T.FLOAT, ["n"])], table=table)


def expand() -> bytes:
    """As many values as the input says: a small request, a huge answer."""
    inputs = [tensor("size", T.INT64, [1])]
    return model([node("Expand", ["one", "size"], ["many"])], inputs, [tensor("many", T.FLOAT, ["n"])], one=np.ones(1, np.float32))


def logarithm() -> bytes:
    """NaN for negative numbers, minus infinity for zero."""
    return model([node("Log", ["x"], ["y"])], [tensor("x", T.FLOAT, ["n"])], [tensor("y", T.FLOAT, ["n"])])


def slow() -> bytes:
    """Multiplies a matrix by itself as often as the input says: minutes, if asked."""
    body = helper.make_graph(
        [node("MatMul", ["m_in", "m_in"], ["m2"]), node("Tanh", ["m2"], ["m_out"]), node("Identity", ["go_in"], ["go_out"])],
        "body",
        [tensor("i", T.INT64, []), tensor("go_in", T.BOOL, []), tensor("m_in", T.FLOAT, [64, 64])],
        [tensor("go_out", T.BOOL, []), tensor("m_out", T.FLOAT, [64, 64])],
    )
    nodes = [
        node("Loop", ["times", "", "start"], ["end"], body=body),
        node("ReduceSum", ["end"], ["sum"], keepdims=0),
    ]
    start = np.eye(64, dtype=np.float32)
    return model(nodes, [tensor("times", T.INT64, [])], [tensor("sum", T.FLOAT, [])], start=start)


def with_external_data(folder: Path, location: str, content: bytes | None = None) -> None:
    """``model.onnx`` whose weights are said to lie at ``location``."""
    made = onnx.load_from_string(
        model([node("Add", ["x", "w"], ["y"])], [tensor("x", T.FLOAT, [4])], [tensor("y", T.FLOAT, [4])], w=np.arange(4, dtype=np.float32))
    )
    weights = made.graph.initializer[0]
    raw = weights.raw_data
    weights.ClearField("raw_data")
    weights.data_location = T.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(raw)))):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    if content is not None or "/" not in location:
        (folder / location).write_bytes(raw if content is None else content)


def put(models: Path, name: str, content: bytes, version: str = "1", toml: str = "") -> Path:
    """Write a model where the repository finds it; the version's folder."""
    folder = models / name / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    if toml:
        (models / name / "model.toml").write_text(toml)
    return folder


_MEAN = {"last": np.array([-1]), "tokens_axis": np.array([1]), "one": np.array(1, np.float32)}
BYTE_PAIRS = [
    "<s>",
    "</s>",
    "<pad>",
    "<unk>",
    *"abcdefghijklmnopqrstuvwxyz",
    "\u0120",
    "he",
    "ll",
    "hell",
    "hello",
    "\u0120c",
    "\u0120ca",
    "\u0120cat",
]
WORD_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "cat", "##s"]


def embedding_table(rows: int = 40, size: int = 8) -> np.ndarray:
    """A vector for each token id, no two alike."""
    return np.sin(np.arange(1, rows * size + 1, dtype=np.float32)).reshape(rows, size)


def _masked_mean(vectors: str, mask: str, mean: str) -> list[onnx.NodeProto]:
    return [
        node("Cast", [mask], ["shown"], to=T.FLOAT),
        node("Unsqueeze", ["shown", "last"], ["shown_column"]),
        node("Mul", [vectors, "shown_column"], ["kept"]),
        node("ReduceSum", ["kept", "tokens_axis"], ["summed"], keepdims=0),
        node("ReduceSum", ["shown", "tokens_axis"], ["counted"], keepdims=1),
        node("Max", ["counted", "one"], ["divisor"]),
        node("Div", ["summed", "divisor"], [mean]),
    ]


def token_embedding() -> bytes:
    """The mean over the tokens that the mask shows; a place adds its half, a segment 50 for each of its number."""
    dims, names = ["batch", "seq"], ["input_ids", "attention_mask", "token_type_ids", "position_ids"]
    nodes = [
        node("Gather", ["table", "input_ids"], ["looked_up"]),
        node("Mul", ["token_type_ids", "hundred"], ["segments"]),
        node("Add", ["segments", "position_ids"], ["added"]),
        node("Cast", ["added"], ["floats"], to=T.FLOAT),
        node("Mul", ["floats", "half"], ["halves"]),
        node("Unsqueeze", ["halves", "last"], ["columns"]),
        node("Add", ["looked_up", "columns"], ["token_embeddings"]),
        *_masked_mean("token_embeddings", "attention_mask", "sentence_embedding"),
    ]
    outputs = [tensor("token_embeddings", T.FLOAT, [*dims, 8]), tensor("sentence_embedding", T.FLOAT, ["batch", 8])]
    constants = {"hundred": np.array(100), "half": np.array(0.5, np.float32), "table": embedding_table(), **_MEAN}
    return model(nodes, [tensor(name, T.INT64, dims) for name in names], outputs, **constants)


def with_extensions(
    nodes: list[onnx.NodeProto], texts: Dims, outputs: list[onnx.ValueInfoProto], *, declared: bool = True, **constants: np.ndarray
) -> onnx.ModelProto:
    """A graph of texts with operators of onnxruntime-extensions; ``declared`` as exporters do it, though ONNX Runtime asks for no such thing."""
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [tensor("text", T.STRING, texts)], outputs, weights)
    domains = [("", 20), *([("ai.onnx.contrib", 1)] if declared else [])]
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid(*domain) for domain in domains])
    made.ir_version = 9
    return made


def word_pieces() -> onnx.NodeProto:
    """BERT's tokenizer: one text, or two as a pair, to one row of ids."""
    return helper.make_node(
        "BertTokenizer", ["text"], ["ids", "types", "mask"], domain="ai.onnx.contrib", vocab_file="\n".join(WORD_PIECES)
    )


def text_embedding() -> bytes:
    """Texts through a byte-pair tokenizer to the mean of their tokens' vectors, and how many tokens each has."""
    merges = "#version: 0.2\nh e\nl l\nhe ll\nhell o\n\u0120 c\n\u0120c a\n\u0120ca t"
    vocabulary = json.dumps({piece: i for i, piece in enumerate(BYTE_PAIRS)})
    tokenizer = helper.make_node(
        "RobertaTokenizer", ["text"], ["ids", "mask"], domain="ai.onnx.contrib", vocab=vocabulary, merges=merges, padding_length=-1
    )
    nodes = [
        tokenizer,
        node("Gather", ["table", "ids"], ["vectors"]),
        *_masked_mean("vectors", "mask", "embedding"),
        node("ReduceSum", ["mask", "tokens_axis"], ["token_count"], keepdims=0),
    ]
    outputs = [tensor("embedding", T.FLOAT, ["n", 8]), tensor("token_count", T.INT64, ["n"])]
    return with_extensions(nodes, ["n"], outputs, table=embedding_table(), **_MEAN).SerializeToString()


def word_piece_embedding(texts: int | str = 1) -> bytes:
    """One text at a time to the mean of its word pieces' vectors."""
    nodes = [
        word_pieces(),
        node("Gather", ["table", "ids"], ["vectors"]),
        node("ReduceMean", ["vectors", "first_axis"], ["embedding"], keepdims=1),
    ]
    outputs, constants = [tensor("embedding", T.FLOAT, [texts, 8])], {"table": embedding_table(), "first_axis": np.array([0])}
    return with_extensions(nodes, [texts], outputs, **constants).SerializeToString()
