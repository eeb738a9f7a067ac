"""Which models there are, which is meant, and what happens to one that cannot be loaded."""

from pathlib import Path

import pytest
from onnx import TensorProto as T

from app.errors import ModelNotReady, SettingError, UnknownModel, UnknownVersion
from app.inference import repository as repositories
from app.inference import signature as signatures
from app.inference.repository import Repository, threads_for
from app.inference.session import Session
from tests import graphs

IDENTITY = graphs.identity(T.FLOAT)


def open_at(folder: Path, default: str = "") -> Repository:
    return Repository(folder, threads=1, default_model=default)


def test_only_model_is_the_default(tmp_path: Path) -> None:
    """With one model there is nothing to choose."""
    graphs.put(tmp_path, "one", IDENTITY)

    assert "one" == open_at(tmp_path).default_model


def test_default_is_chosen_by_the_manifest_and_overruled_by_the_setting(tmp_path: Path) -> None:
    """model.toml's `default = true` chooses; DEFAULT_MODEL overrules; two that say so stop the start."""
    graphs.put(tmp_path, "a", IDENTITY)
    graphs.put(tmp_path, "b", IDENTITY, toml="default = true\n")

    assert "b" == open_at(tmp_path).default_model
    assert "a" == open_at(tmp_path, "a").default_model
    graphs.put(tmp_path, "c", IDENTITY, toml="default = true\n")
    with pytest.raises(SettingError, match="b and c both say"):
        open_at(tmp_path)


def test_no_default_is_said(tmp_path: Path) -> None:
    """With several models and no default, /predict says which there are and how to set one."""
    graphs.put(tmp_path, "a", IDENTITY)
    graphs.put(tmp_path, "b", IDENTITY)

    with pytest.raises(UnknownModel, match=r"name one of a, b, or set DEFAULT_MODEL"):
        open_at(tmp_path).get()


@pytest.mark.parametrize(
    ("versions", "newest"),
    [
        (["1", "2", "10"], "10"),
        (["1.2", "1.10"], "1.10"),
        (["a", "b"], "b"),
        (["9", "rc"], "rc"),
        (["2024-01-31", "2024-02-01"], "2024-02-01"),
    ],
)
def test_newest_version(tmp_path: Path, versions: list[str], newest: str) -> None:
    """Versions are compared by their numbers."""
    for version in versions:
        graphs.put(tmp_path, "m", IDENTITY, version=version)

    assert newest == open_at(tmp_path).entry("m").version


def test_what_is_no_model_is_not_listed(tmp_path: Path) -> None:
    """Hidden folders, files, names that are no path segment and folders without a model are passed over."""
    graphs.put(tmp_path, "good", IDENTITY)
    for name in (".hidden", "sp ace", "-dash", "dots.."):
        graphs.put(tmp_path, name, IDENTITY)
    (tmp_path / "empty" / "1").mkdir(parents=True)
    (tmp_path / "README.md").write_text("x")

    assert ["good"] == open_at(tmp_path).names()


@pytest.mark.parametrize("exists", [True, False])
def test_no_models_stop_the_start(tmp_path: Path, exists: bool) -> None:
    """No folder, or one without a model, is said with the setting and what was expected."""
    with pytest.raises(SettingError, match="MODEL_DIR is"):
        open_at(tmp_path if exists else tmp_path / "nowhere")


def test_preload(tmp_path: Path) -> None:
    """PRELOAD_MODELS loads the default, all, or the named; the rest is loaded at its first request."""
    for name in "abc":
        graphs.put(tmp_path, name, IDENTITY)
    for which, loaded in (("default", {"a"}), ("all", {"a", "b", "c"}), ("b, c", {"b", "c"}), ("", set())):
        repository = open_at(tmp_path, "a")
        repository.preload(which)
        assert loaded == {entry.name for entry in repository.entries() if entry.loaded}
    assert "c" == repository.get("c").name
    with pytest.raises(SettingError, match="PRELOAD_MODELS names 'x', but the models are a, b, c"):
        repository.preload("a,x")


def test_failure_is_kept_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that failed is not tried again at every request, but after the time that Retry-After says."""
    folder = graphs.put(tmp_path, "bad", b"no model")
    graphs.put(tmp_path, "good", IDENTITY)
    repository = open_at(tmp_path, "good")
    for _ in range(2):
        with pytest.raises(ModelNotReady, match="ONNX Runtime cannot load the model"):
            repository.get("bad")
    (folder / "model.onnx").write_bytes(IDENTITY)

    with pytest.raises(ModelNotReady):
        repository.get("bad")
    assert "good" == repository.get().name
    monkeypatch.setattr(repositories, "RETRY_S", 0)
    assert "bad" == repository.get("bad").name


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("titel = 'x'", "unknown key 'titel'; did you mean 'title'?"),
        ("title = 5", "'title' takes a string"),
        ("labels = [1]", "'labels' takes an array of strings"),
        ("features = ['a', 'a']", "must not name the same thing twice"),
        ("[nan]\ninput = 'maybe'", "'nan.input' takes one of refuse, binary, allow"),
        ("[nan]\nin = 'allow'", "unknown key 'nan.in'"),
        ("default_outputs = ['z']", "names 'z', but the graph's outputs are y"),
        ("features = ['a', 'b']", "needs a graph with one input of shape [N, 2]"),
        ("[image]\nsize = [8]", "'image.size' takes [height, width]"),
        ("[image]\nsize = [8, 8]\nchannels = 'CMYK'", "'image.channels' takes one of L, RGB, BGR"),
        ("[image]\nsize = [8, 8]\nstd = [0.0]", "'image.std' must not contain 0"),
        ("[image]\nsize = [8, 8]\nchannels = 'L'\nmean = [0.1, 0.2, 0.3]", "'image.mean' takes one number where there is one channel"),
        ("[image]\nsize = [8, 8]\nresize = 'cubic'", "'image.resize' takes one of nearest, box, bilinear, bicubic, lanczos"),
        ("[image]\nsize = [8, 8]\ninput = 'q'", "'image.input' names 'q'"),
        ("[[examples]]\ntitle = 'x'", "takes a table with 'inputs'"),
        ("[golden]\nfile = '../x'", "'golden.file' takes the name of a file beside model.toml"),
        ("[[examples]]\ninputs = { x = 1979-05-27 }", "holds a date"),
        ("[[examples]]\ninputs = { x = [nan] }", "NaN"),
        ("[[examples]]\ninputs = { x = ['a'] }", "examples[0]: input 'x' is not FP32 [n]"),
        ("[[examples]]\ninputs = { x = [1.0] }\n[[examples]]\ninputs = { x = [1.0], z = 1 }", "examples[1] has the input 'z'"),
        ("[golden]\nrtol = inf", "'golden.rtol' must be a finite number"),
        ("[[examples]]\ninputs = { x = [[1.0]] }", "examples[0] does not fit the graph"),
        ("title = ", "is not valid TOML"),
        ("default = 1", "'default' takes true or false"),
        ("[golden]\nrtol = true", "'golden.rtol' takes a number"),
        ("version_labels = 'stable'", "'version_labels' takes a table"),
        ("[version_labels]\nstable = 1", "'version_labels.stable' takes the name of a version as a string"),
        ("[version_labels]\n'a/b' = '1'", "'version_labels.a/b' is no label"),
        ("[version_labels]\nstable = '2'", "'version_labels.stable' names the version '2', but the versions are 1."),
    ],
)
def test_manifest_mistakes(tmp_path: Path, toml: str, says: str) -> None:
    """A mistake in model.toml keeps that model from serving, and says the key and what it takes."""
    graphs.put(tmp_path, "m", IDENTITY, toml=toml)

    with pytest.raises(ModelNotReady) as raised:
        open_at(tmp_path).get()
    assert says in raised.value.detail


def test_no_manifest_is_needed(tmp_path: Path) -> None:
    """Everything that serving needs is in the graph."""
    graphs.put(tmp_path, "m", graphs.two_inputs())
    signature = open_at(tmp_path).get().signature

    assert "'input_ids' INT64 [batch, seq], 'attention_mask' INT64 [batch, seq]" == signature.describe_inputs()


@pytest.mark.parametrize(("name", "version"), [("m", "9"), ("m", "latest"), ("m", "-1"), ("m", "１"), ("m", "../1"), ("m", "")])
def test_unknown_version(tmp_path: Path, name: str, version: str) -> None:
    """A version is found by its exact name alone; nothing is looked up on disk."""
    graphs.put(tmp_path, "m", IDENTITY)

    with pytest.raises(UnknownVersion, match="it has 1"):
        open_at(tmp_path).get(name, version)


@pytest.mark.parametrize(("memory_mb", "wanted", "threads"), [(128, 0, 1), (1769, 0, 1), (3538, 0, 2), (10240, 0, 5), (1769, 4, 4)])
def test_threads_follow_memory(memory_mb: int, wanted: int, threads: int) -> None:
    """One thread for each 1,769 MB that Lambda gives a vCPU for, unless the setting says otherwise."""
    assert threads == threads_for(memory_mb, wanted)


def test_session_is_set_up_for_a_small_box(tmp_path: Path) -> None:
    """Threads are explicit, nothing spins, runs are sequential, and the CPU is the only provider."""
    graphs.put(tmp_path, "m", IDENTITY)
    session = Repository(tmp_path, threads=3).get().session._ort
    chosen = session.get_session_options()

    assert (3, 1) == (chosen.intra_op_num_threads, chosen.inter_op_num_threads)
    assert "ORT_SEQUENTIAL" == chosen.execution_mode.name
    assert ["0", "0"] == [chosen.get_session_config_entry(f"session.{pool}_op.allow_spinning") for pool in ("intra", "inter")]
    assert ["CPUExecutionProvider"] == session.get_providers()
    assert not session._enable_fallback


def test_a_model_is_run_once_when_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading ends with one run, so that the first caller does not pay for the first allocations."""
    graphs.put(tmp_path, "m", graphs.two_inputs())
    runs: list[dict[str, tuple[int, ...]]] = []
    run = Session.run
    monkeypatch.setattr(
        Session, "run", lambda self, inputs, *more: runs.append({k: v.shape for k, v in inputs.items()}) or run(self, inputs, *more)
    )
    open_at(tmp_path).get()

    assert [{"input_ids": (1, 1), "attention_mask": (1, 1)}] == runs


@pytest.mark.parametrize("size", [2_000_000, 2**33])
def test_huge_fixed_dimensions_are_not_allocated(tmp_path: Path, size: int) -> None:
    """A graph of absurd fixed dimensions is loaded without a warm-up, and shows no example; the other models serve."""
    graphs.put(tmp_path, "absurd", graphs.identity(T.FLOAT, ["n", size, size]))
    graphs.put(tmp_path, "good", IDENTITY)
    repository = open_at(tmp_path, "good")
    repository.preload("all")

    assert {"absurd", "good"} == {entry.name for entry in repository.entries() if entry.loaded}


def test_what_nobody_foresaw_fails_one_model_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any failure of a load is that model's failure, told by its kind."""
    graphs.put(tmp_path, "a", IDENTITY)
    graphs.put(tmp_path, "b", graphs.two_inputs())
    read = signatures.read
    monkeypatch.setattr(signatures, "read", lambda inputs, *more: 1 / 0 if len(inputs) == 2 else read(inputs, *more))
    repository = open_at(tmp_path, "a")
    repository.preload("all")

    assert "a" == repository.get().name
    with pytest.raises(ModelNotReady, match="ZeroDivisionError"):
        repository.get("b")


def test_bfloat16_beside_strings_is_refused_at_load(tmp_path: Path) -> None:
    """What ONNX Runtime cannot be fed is refused when the model is loaded, with what to do."""
    nodes = [graphs.node("Identity", ["x"], ["y"]), graphs.node("Identity", ["t"], ["u"])]
    inputs = [graphs.tensor("x", T.BFLOAT16, ["n"]), graphs.tensor("t", T.STRING, ["n"])]
    outputs = [graphs.tensor("y", T.BFLOAT16, ["n"]), graphs.tensor("u", T.STRING, ["n"])]
    graphs.put(tmp_path, "m", graphs.model(nodes, inputs, outputs))

    with pytest.raises(ModelNotReady, match="put a Cast"):
        open_at(tmp_path).get()
