"""A model is served from the very bytes that were checked, or not at all."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T

from app.cli import main
from app.errors import ModelNotReady, ModelRefused
from app.inference.external_data import external_files
from app.inference.repository import Repository
from tests import graphs
from tests.shells import ROOT, copy_models


def build(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setenv("MODEL_DIR", str(folder))
    return main(["build", *arguments])


def open_at(folder: Path) -> Repository:
    return Repository(folder, threads=1)


def large_model() -> bytes:
    """Over the size from which weights go into a file of their own."""
    weights = np.random.default_rng(0).normal(size=(1200, 1200)).astype(np.float32)
    nodes = [graphs.node("MatMul", ["x", "w"], ["h"]), graphs.node("Relu", ["h"], ["y"])]
    inputs, outputs = [graphs.tensor("x", T.FLOAT, ["n", 1200])], [graphs.tensor("y", T.FLOAT, ["n", 1200])]
    return graphs.model(nodes, inputs, outputs, w=weights)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's models and one with external data, built."""
    folder = copy_models(tmp_path / "models")
    graphs.put(folder, "large", large_model())
    assert 0 == build(folder, monkeypatch)
    return folder


def test_build_writes_what_loads_first(built: Path) -> None:
    """A build writes the optimised graph, external data for a large model, and a lock of every file; the digest stays the original's."""
    lock = json.loads((built / "models.lock").read_text())["files"]
    repository = open_at(built)
    unbuilt = open_at(copy_models(built.parent / "again"))

    assert {
        "large/1/model.onnx",
        "large/1/model.prepared.onnx",
        "large/1/model.prepared.data",
        "iris/model.toml",
        "iris/golden.json",
    } <= set(lock)
    assert not (built / "iris/1/model.prepared.data").exists()
    assert (built / "large/1/model.prepared.onnx").stat().st_size < 10_000
    assert unbuilt.get("iris").digest == repository.get("iris").digest
    assert f"sha256:{lock['large/1/model.onnx']['sha256']}" == repository.get("large").digest


def test_originals_may_go(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --only-prepared the image carries the optimised graphs alone, and serves the same under the same digest."""
    digest = open_at(built).get("large").digest
    assert 0 == build(built, monkeypatch, "--only-prepared")

    assert not list(built.glob("*/*/model.onnx"))
    assert digest == open_at(built).get("large").digest


def test_building_again_gives_the_same(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two builds of the same models write the same bytes."""
    before = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
    assert 0 == build(built, monkeypatch)

    assert before == {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}


DAMAGE = {
    "missing": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "flipped": lambda file: file.write_bytes(bytes([file.read_bytes()[0], file.read_bytes()[1] ^ 1]) + file.read_bytes()[2:]),
    "flipped-at-the-end": lambda file: file.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1])),
    "swapped": lambda file: shutil.copy(ROOT / "models/digits/1/model.onnx", file),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "file", ["iris/1/model.prepared.onnx", "large/1/model.prepared.onnx", "large/1/model.prepared.data", "iris/model.toml"]
)
def test_damaged_files_are_never_served(built: Path, file: str, damage: str) -> None:
    """A missing, truncated, flipped or swapped file keeps its model from serving, with the reason; the others serve."""
    DAMAGE[damage](built / file)
    repository = open_at(built)
    name = file.split("/", maxsplit=1)[0]

    with pytest.raises(ModelNotReady) as raised:
        repository.get(name)
    assert str(built) not in raised.value.detail
    assert file.rpartition("/")[2] in raised.value.detail
    assert "digits" == repository.get("digits").name


def test_missing_manifest(built: Path) -> None:
    """A model.toml that the lock lists and that has gone is a damaged model too: its labels would be missing."""
    (built / "iris/model.toml").unlink()

    with pytest.raises(ModelNotReady, match=r"model\.toml"):
        open_at(built).get("iris")


def test_model_that_has_gone_is_still_known(built: Path) -> None:
    """A model that the lock lists and whose folder has gone answers 503, not 404."""
    shutil.rmtree(built / "large")

    with pytest.raises(ModelNotReady, match="missing"):
        open_at(built).get("large")


def test_model_that_was_slipped_in_is_refused(built: Path) -> None:
    """A model that the lock does not list is refused."""
    graphs.put(built, "stranger", graphs.identity(T.FLOAT))

    with pytest.raises(ModelNotReady, match=r"not in models\.lock"):
        open_at(built).get("stranger")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"files": {"a": 1}}', b'{"format": 99, "files": {}}', b"\xff"])
def test_unreadable_lock_serves_nothing(built: Path, content: bytes) -> None:
    """A lock that cannot be read lets no model serve."""
    (built / "models.lock").write_bytes(content)

    with pytest.raises(ModelNotReady, match=r"models\.lock cannot be read"):
        open_at(built).get("iris")


def test_prepared_graph_without_a_lock_is_not_trusted(built: Path) -> None:
    """Without a lock the original is served, since nothing says what the prepared graph was made from."""
    (built / "models.lock").unlink()
    shutil.copy(built / "digits/1/model.onnx", built / "iris/1/model.prepared.onnx")

    assert "X" == open_at(built).get("iris").signature.inputs[0].name


@pytest.mark.parametrize(
    "location", ["../outside.bin", "/etc/hostname", "a/../../outside.bin", "link.bin", "..\\outside.bin", "gone.bin", "folder", "with\0nul"]
)
def test_external_data_stays_in_the_models_folder(tmp_path: Path, location: str) -> None:
    """External data outside the model's folder, by whatever path or link, is refused before ONNX Runtime sees the graph."""
    folder = tmp_path / "m" / "1"
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "outside.bin").write_bytes(bytes(16))
    graphs.with_external_data(folder, "some/where")
    made = onnx.load(folder / "model.onnx", load_external_data=False)
    made.graph.initializer[0].external_data[0].value = location
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    if location == "link.bin":
        (folder / "link.bin").symlink_to(tmp_path / "m" / "outside.bin")
    if location == "folder":
        (folder / "folder").mkdir()

    with pytest.raises(ModelNotReady, match="external-data file"):
        open_at(tmp_path).get()


def test_external_data_inside_the_folder_is_served(tmp_path: Path) -> None:
    """External data beside the graph is loaded, and belongs to the digest."""
    graphs.with_external_data(tmp_path / "m" / "1", "weights.bin")
    first = open_at(tmp_path).get()
    outputs = first.session.run({"x": np.zeros(4, np.float32)}, ["y"])

    assert [0.0, 1.0, 2.0, 3.0] == outputs["y"].tolist()
    (tmp_path / "m/1/weights.bin").write_bytes(np.ones(4, np.float32).tobytes())
    assert first.digest != open_at(tmp_path).get().digest


def test_golden_drift_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An answer that differs from a golden sample fails the build, and leaves no lock and no prepared graph."""
    folder = copy_models(tmp_path / "models")
    golden = json.loads((folder / "iris/golden.json").read_text())
    golden[3]["outputs"]["output_probability"][0][0] += 0.01
    (folder / "iris/golden.json").write_text(json.dumps(golden))

    assert 1 == build(folder, monkeypatch)
    assert "iris/1: golden sample 3: output 'output_probability' has drifted" in capsys.readouterr().err
    assert not (folder / "models.lock").exists()
    assert not list(folder.rglob("*.prepared.*"))


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"inputs": {}}]'])
def test_unreadable_golden_samples_fail_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """Golden samples that cannot be read fail the build: they were meant to be checked."""
    folder = copy_models(tmp_path / "models")
    (folder / "iris/golden.json").write_text(content)

    assert 1 == build(folder, monkeypatch)


def test_broken_model_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that does not load fails the build with its name."""
    folder = copy_models(tmp_path / "models")
    graphs.put(folder, "broken", b"no model")

    assert 1 == build(folder, monkeypatch)
    assert "broken/1" in capsys.readouterr().err


def test_a_failed_build_leaves_everything_as_it_was(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that fails touches neither the lock nor the prepared graphs of the last good one, and leaves nothing behind."""
    before = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
    graphs.put(built, "broken", b"no model")
    assert 1 == build(built, monkeypatch)
    shutil.rmtree(built / "broken")

    assert before == {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}


def test_building_without_originals_is_refused(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After --only-prepared a second build is refused, and what is there keeps serving."""
    assert 0 == build(built, monkeypatch, "--only-prepared")
    assert 1 == build(built, monkeypatch)

    assert "large" == open_at(built).get("large").name


def test_only_prepared_deletes_external_data_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """External data of an original goes with it, unless the prepared graph reads it."""
    graphs.with_external_data(tmp_path / "small" / "1", "weights.bin")
    graphs.put(tmp_path, "large", large_model())
    made = onnx.load(tmp_path / "large/1/model.onnx")
    onnx.save(made, tmp_path / "large/1/model.onnx", save_as_external_data=True, location="large.bin")
    digests = [open_at(tmp_path).get(name).digest for name in ("small", "large")]
    assert 0 == build(tmp_path, monkeypatch, "--only-prepared")

    assert {"model.prepared.onnx", "weights.bin"} == {path.name for path in (tmp_path / "small/1").iterdir()}
    assert {"model.prepared.onnx", "model.prepared.data"} == {path.name for path in (tmp_path / "large/1").iterdir()}
    assert digests == [open_at(tmp_path).get(name).digest for name in ("small", "large")]


def test_stray_files_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note beside the graph, or a stray graph beside the versions, is neither part of the digest nor in the way of a build."""
    folder = copy_models(tmp_path / "models")
    digest = open_at(folder).get("iris").digest
    (folder / "iris/1/notes.txt").write_text("x")
    shutil.copy(folder / "iris/1/model.onnx", folder / "iris/model.onnx")
    assert 0 == build(folder, monkeypatch)

    assert digest == open_at(folder).get("iris").digest


@pytest.mark.parametrize("word", ["location", "allocation"])
def test_the_word_location_is_no_external_data(tmp_path: Path, word: str) -> None:
    """An input, a node or a metadata entry called location is no file."""
    content = graphs.model(
        [graphs.node("Identity", [word], ["y"])], [graphs.tensor(word, T.FLOAT, ["n"])], [graphs.tensor("y", T.FLOAT, ["n"])]
    )
    made = onnx.load_from_string(content)
    entry = made.metadata_props.add()
    entry.key, entry.value = "location", "Berlin"
    graphs.put(tmp_path, "m", made.SerializeToString())

    assert word == open_at(tmp_path).get().signature.inputs[0].name


@pytest.mark.parametrize("place", ["subgraph", "attribute", "sparse", "function"])
def test_external_data_is_found_wherever_it_hides(tmp_path: Path, place: str) -> None:
    """External data in a subgraph, a node's attribute, a sparse tensor or a function is refused like any other."""
    evil = onnx.TensorProto(name="w", data_type=T.FLOAT, dims=[4], data_location=T.EXTERNAL)
    evil.external_data.add(key="location", value="../../outside.bin")
    made = onnx.load_from_string(graphs.identity(T.FLOAT))
    node = made.graph.node.add(op_type="Constant", output=["c"])
    if place == "subgraph":
        node.attribute.add(name="g", type=onnx.AttributeProto.GRAPH).g.initializer.append(evil)
    elif place == "attribute":
        node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(evil)
    elif place == "sparse":
        made.graph.sparse_initializer.add().values.CopyFrom(evil)
    else:
        made.functions.add(name="f", domain="d").node.add(op_type="Constant").attribute.add(name="value").t.CopyFrom(evil)
    graphs.put(tmp_path, "m", made.SerializeToString())

    with pytest.raises(ModelNotReady, match="external-data file"):
        open_at(tmp_path).get()


@settings(max_examples=200, deadline=None)
@given(noise=st.binary(max_size=60), at=st.integers(0, 400), cut=st.integers(0, 400))
def test_damaged_graphs_are_refused_by_the_walk_or_by_onnx_runtime(noise: bytes, at: int, cut: int) -> None:
    """Walking any bytes ends with the files they name or with our refusal, never with another exception."""
    with tempfile.TemporaryDirectory() as folder:
        graphs.with_external_data(Path(folder), "weights.bin")
        content = (Path(folder) / "model.onnx").read_bytes()
        broken = content[:at] + noise + content[at + cut :] + b"location"
        try:
            found = external_files(broken, Path(folder))
        except ModelRefused:
            found = []
        assert {path.name for path in found} <= {"weights.bin"}


def test_a_damaged_manifest_of_the_default_model_is_told(built: Path) -> None:
    """Where the manifest that might name the default cannot be trusted, /predict answers 503 with the reason, not 404."""
    (built / "iris/model.toml").write_text("default = false\n")

    with pytest.raises(ModelNotReady, match=r"model\.toml"):
        open_at(built).get()


def test_a_lock_without_the_manifests_table_is_refused(built: Path) -> None:
    """A lock that does not say what model.toml holds is refused: labels and policies would be missing."""
    lock = json.loads((built / "models.lock").read_text())
    for table in (None, [1]):
        lock["files"]["iris/model.toml"]["table"] = table
        (built / "models.lock").write_text(json.dumps(lock))
        with pytest.raises(ModelNotReady, match=r"does not say what iris/model\.toml holds"):
            open_at(built).get("iris")


def test_a_built_model_has_its_manifest(built: Path) -> None:
    """What model.toml says holds after a build, too."""
    assert ("setosa", "versicolor", "virginica") == open_at(built).get("iris").signature.labels


def test_a_model_may_be_deleted_before_the_next_build(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was deleted on purpose does not stand in the way of a build."""
    shutil.rmtree(built / "large")
    assert 0 == build(built, monkeypatch)

    assert ["digits", "iris"] == open_at(built).names()


def test_a_lock_without_the_external_files_still_finds_them(built: Path) -> None:
    """Where the lock does not say which external files a prepared graph has, the graph is walked, and they are checked all the same."""
    lock = json.loads((built / "models.lock").read_text())
    assert {"external": ["model.prepared.data"]} == lock["files"]["large/1/model.prepared.onnx"].pop("table")
    (built / "models.lock").write_text(json.dumps(lock))
    assert "large" == open_at(built).get("large").name
    DAMAGE["flipped"](built / "large/1/model.prepared.data")

    with pytest.raises(ModelNotReady, match=r"model\.prepared\.data"):
        open_at(built).get("large")
