"""Graphs with operators of onnxruntime-extensions: a tokenizer inside makes strings in, vectors out."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

from app.cli import main
from app.errors import ModelNotReady, ModelRefused
from app.inference.manifest import Manifest
from app.inference.repository import Repository
from app.inference.session import Session, options
from tests import graphs
from tests.shells import ROOT

# "hello cat" and "cat" in byte pairs: each between <s> and </s>
HELLO_CAT, CAT = [0, 34, 37, 1], [0, *(graphs.BYTE_PAIRS.index(letter) for letter in "cat"), 1]


def texts(*values: str) -> dict[str, np.ndarray]:
    return {"text": np.array(values, np.object_)}


def open_at(folder: Path) -> Repository:
    return Repository(folder, threads=1)


def open_session(source: str | bytes) -> Session:
    return Session(source, options(intra_op_threads=1, optimize=True), Manifest())


def test_strings_in_vectors_out(models: Path) -> None:
    """Texts of unequal length go through the tokenizer in the graph to the mean of their tokens' vectors."""
    table = graphs.embedding_table()
    answer = open_at(models).get("text-embedding").session.run(texts("hello cat", "cat"), ["embedding", "token_count"])

    np.testing.assert_allclose([table[HELLO_CAT].mean(axis=0), table[CAT].mean(axis=0)], answer["embedding"], rtol=1e-5)
    assert [4, 5] == answer["token_count"].tolist()


def test_a_tokenizer_of_one_text_is_looped_over(models: Path) -> None:
    """BERT's tokenizer takes two texts as a pair; exported for one, the graph is run for each text."""
    table = graphs.embedding_table()
    answer = open_at(models).get("word-piece-embedding").session.run(texts("hello cats", "cat"), ["embedding"])
    pieces = [["[CLS]", "hello", "cat", "##s", "[SEP]"], ["[CLS]", "cat", "[SEP]"]]
    expected = [table[[graphs.WORD_PIECES.index(piece) for piece in row]].mean(axis=0) for row in pieces]

    np.testing.assert_allclose(expected, answer["embedding"], rtol=1e-5)


def test_ordinary_models_never_import_the_library(models: Path) -> None:
    """A process that runs models of ONNX's own operators never imports the library, one that runs a tokenizer does."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from app.inference.repository import Repository\n"
        "repository = Repository(Path(sys.argv[1]), threads=1)\n"
        "for name in ('iris', 'zipmap-strings', 'text', 'token-embedding', 'broken', 'text-embedding'):\n"
        "    repository._load(repository.entry(name))\n"
        "    print(name, any(module.startswith('onnxruntime_extensions') for module in sys.modules))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(models)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    imported = dict(line.split() for line in ended.stdout.splitlines())

    assert {"iris", "zipmap-strings", "text", "token-embedding", "broken"} == {name for name, found in imported.items() if found == "False"}
    assert "True" == imported["text-embedding"]


def hidden_in(place: str) -> onnx.ModelProto:
    """A tokenizer somewhere in a graph."""
    outputs = [graphs.tensor("ids", T.INT64, None)]
    if place == "undeclared":
        return graphs.with_extensions([graphs.word_pieces()], ["n"], outputs, declared=False)
    if place == "loop":
        inner = [graphs.node("Identity", ["go"], ["on"]), graphs.node("Identity", ["given"], ["text2"]), graphs.word_pieces()]
        inner[-1].input[0] = "given"
        takes = [graphs.tensor("i", T.INT64, []), graphs.tensor("go", T.BOOL, []), graphs.tensor("given", T.STRING, ["n"])]
        gives = [graphs.tensor("on", T.BOOL, []), graphs.tensor("text2", T.STRING, ["n"]), graphs.tensor("ids", T.INT64, ["l"])]
        loop = graphs.node("Loop", ["once", "", "text"], ["same", "ids"], body=helper.make_graph(inner, "body", takes, gives))
        return graphs.with_extensions([loop], ["n"], outputs, once=np.array(1))
    made = graphs.with_extensions([helper.make_node("Tokenize", ["text"], ["ids"], domain="mine")], ["n"], outputs)
    imports = list(made.opset_import)
    made.opset_import.append(helper.make_opsetid("mine", 1))
    made.functions.append(helper.make_function("mine", "Tokenize", ["text"], ["ids"], [graphs.word_pieces()], imports))
    return made


@pytest.mark.parametrize("place", ["undeclared", "loop", "function"])
@pytest.mark.parametrize("source", ["bytes", "path"])
def test_the_operators_are_found_wherever_they_stand(tmp_path: Path, place: str, source: str) -> None:
    """In a loop's body, in a function, and in a graph that declares no such domain, loaded from bytes or by path."""
    file = tmp_path / "model.onnx"
    file.write_bytes(hidden_in(place).SerializeToString())
    session = open_session(str(file) if source == "path" else file.read_bytes())

    assert [2, 5, 6, 3] == session.run(texts("hello cat"), ["ids"])["ids"].ravel().tolist()


def test_large_graphs_load_by_path(tmp_path: Path) -> None:
    """A graph over the size that is loaded from bytes is loaded by its path, operators and all."""
    nodes = [graphs.word_pieces(), graphs.node("Gather", ["table", "ids"], ["vectors"])]
    made = graphs.with_extensions(nodes, ["n"], [graphs.tensor("vectors", T.FLOAT, None)], table=np.ones((3_000_000, 2), np.float32))
    graphs.put(tmp_path, "large", made.SerializeToString())

    assert (4, 2) == open_at(tmp_path).get().session.run(texts("hello cat"), ["vectors"])["vectors"].shape


def test_build_keeps_the_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prepared graph answers as its original, with its weights in a file of their own or not."""
    nodes = [graphs.word_pieces(), graphs.node("Gather", ["table", "ids"], ["vectors"])]
    made = graphs.with_extensions(nodes, ["n"], [graphs.tensor("vectors", T.FLOAT, None)], table=np.ones((600_000, 2), np.float32))
    graphs.put(tmp_path, "large", made.SerializeToString())
    graphs.put(tmp_path, "small", graphs.text_embedding())
    before = open_at(tmp_path).get("small").session.run(texts("hello cat", "cat"), ["embedding"])
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    assert 0 == main(["build", "--only-prepared"])

    assert {"model.prepared.onnx", "model.prepared.data"} == {file.name for file in (tmp_path / "large/1").iterdir()}
    assert ["model.prepared.onnx"] == [file.name for file in (tmp_path / "small/1").iterdir()]
    after = open_at(tmp_path).get("small").session.run(texts("hello cat", "cat"), ["embedding"])
    np.testing.assert_allclose(before["embedding"], after["embedding"], rtol=1e-6)
    assert (4, 2) == open_at(tmp_path).get("large").session.run(texts("hello cat"), ["vectors"])["vectors"].shape


def test_a_missing_library_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library a graph that needs it is not served, and the reason says what to install; the others are."""
    monkeypatch.setitem(sys.modules, "onnxruntime_extensions", None)
    repository = open_at(models)

    with pytest.raises(ModelNotReady, match="uses operators of onnxruntime-extensions, which is not installed: install the extra 'text'"):
        repository.get("text-embedding")
    assert "iris" == repository.get("iris").name


def test_an_operator_that_the_library_lacks_is_named() -> None:
    """An operator of these domains that the installed library does not have is named in the refusal."""
    missing = helper.make_node("NoSuchTokenizer", ["text"], ["ids"], domain="ai.onnx.contrib")
    made = graphs.with_extensions([missing], ["n"], [graphs.tensor("ids", T.INT64, None)])

    with pytest.raises(ModelRefused, match=r"ONNX Runtime cannot load the model: .*NoSuchTokenizer"):
        open_session(made.SerializeToString())


def test_the_documented_way_to_put_a_tokenizer_into_a_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/embeddings.md shows makes a model that takes texts, one after the other, from an encoder that takes token ids."""
    example = next(
        block for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs/embeddings.md").read_text(), re.DOTALL) if "compose" in block
    )
    dims = ["batch", "tokens"]
    inputs = [graphs.tensor(name, T.INT64, dims) for name in ("input_ids", "attention_mask", "token_type_ids")]
    nodes = [
        graphs.node("Gather", ["table", "input_ids"], ["vectors"]),
        graphs.node("ReduceMean", ["vectors", "axis"], ["sentence_embedding"], keepdims=0),
        graphs.node("Add", ["attention_mask", "token_type_ids"], ["others"]),
    ]
    outputs = [graphs.tensor("sentence_embedding", T.FLOAT, ["batch", 8]), graphs.tensor("others", T.INT64, dims)]
    constants = {"table": graphs.embedding_table(), "axis": np.array([1])}
    (tmp_path / "encoder.onnx").write_bytes(graphs.model(nodes, inputs, outputs, **constants))
    (tmp_path / "vocab.txt").write_text("\n".join(graphs.WORD_PIECES), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    session = open_session("model.onnx")

    assert ["sentence_embedding"] == list(session.signature.output_by_name)
    rows = [[2, 5, 6, 3], [2, 6, 3]]
    expected = [graphs.embedding_table()[row].mean(axis=0) for row in rows]
    answer = session.run(texts("hello cat", "cat"), ["sentence_embedding"])["sentence_embedding"]
    np.testing.assert_allclose(expected, answer, rtol=1e-5)


def pinned(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))


def test_the_extra_is_the_runtime_and_the_library() -> None:
    """The extra 'text' is this one library, and its lock file the runtime's with it."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    runtime, text = pinned("runtime.lock"), pinned("text.lock")

    assert ["onnxruntime-extensions"] == [re.split(r"[<>=]", requirement)[0] for requirement in extras["text"]]
    assert runtime == {name: version for name, version in text.items() if name != "onnxruntime-extensions"}
    assert "onnxruntime-extensions" in text
