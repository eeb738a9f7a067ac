"""Files of this machine: whole or not there, whatever happens to the process."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.batches.files import FilePredictor, predict_file
from app.batches.local import LocalPlace, LocalSource
from app.errors import SettingError, StoreUnavailable
from app.prediction import PredictionRequest
from tests.shells import ROOT

FLAT_BYTES = 32 * 1024 * 1024


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    """A file that is left without a commit, or by an error, leaves nothing behind."""
    place = LocalPlace(tmp_path)
    with place.create("a/b.txt", "text/plain") as output:
        output.write(b"half")
    output = ExitStack()
    output.enter_context(place.create("a/b.txt", "text/plain")).write(b"half")
    assert 1 == len(files_in(tmp_path))
    with pytest.raises(KeyboardInterrupt), output:
        raise KeyboardInterrupt

    assert ([], None) == (files_in(tmp_path), place.read("a/b.txt"))


def test_the_first_one_stays(tmp_path: Path) -> None:
    """A file that is there is left as it is, and whoever comes second is told."""
    place = LocalPlace(tmp_path)
    with place.create("b.txt", "") as first, place.create("b.txt", "") as second:
        first.write(b"first")
        second.write(b"second")
        assert (True, False) == (first.commit(), second.commit())

    assert (["b.txt"], b"first") == (files_in(tmp_path), place.read("b.txt"))


def test_without_second_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file system has no second names, a file is renamed, and one that is there stays all the same."""

    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    place = LocalPlace(tmp_path)
    for content, made in ((b"first", True), (b"second", False)):
        with place.create("b.txt", "") as output:
            output.write(content)
            assert made is output.commit()

    assert (["b.txt"], b"first") == (files_in(tmp_path), place.read("b.txt"))


def test_what_the_living_write_is_not_cleared_away(tmp_path: Path) -> None:
    """What a killed process left is deleted by the next, what another is writing is not."""
    place = LocalPlace(tmp_path)
    (tmp_path / ".b.txt.0000.part").write_bytes(b"left")
    with place.create("b.txt", "") as first, place.create("b.txt", ""):
        assert 2 == len(files_in(tmp_path))
        assert first.commit()
    assert ["b.txt"] == files_in(tmp_path)

    (tmp_path / ".b.txt.0000.part").write_bytes(b"left")
    with place.create("b.txt", ""):
        assert b"" == place.read("b.txt")
        assert 2 == len(files_in(tmp_path))
    (tmp_path / ".b.txt.0000.part").write_bytes(b"left")

    assert (b"", ["b.txt"]) == (place.read("b.txt"), files_in(tmp_path))


def test_what_came_to_nothing_leaves_no_folder(tmp_path: Path) -> None:
    """Folders that were made for a file go with it where it is not committed, but those that hold anything."""
    place = LocalPlace(tmp_path / "out")
    with place.create("a/b/c.txt", "") as output:
        output.write(b"half")
    with place.create("a/d/c.txt", "") as output, place.create("a/e/c.txt", ""):
        assert output.commit()

    assert ["a", "a/d", "a/d/c.txt"] == sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*"))


def test_what_is_there_can_be_replaced(tmp_path: Path) -> None:
    """A file that is to take another's place does, and sizes are those of what is there."""
    place = LocalPlace(tmp_path)
    for content in (b"first", b"the second"):
        with place.create("b.txt", "", replace=True) as output:
            output.write(content)
            assert output.commit()

    assert (b"the second", 10, None) == (place.read("b.txt"), place.size("b.txt"), place.size("c.txt"))
    assert ["b.txt"] == files_in(tmp_path)


def test_a_file_that_is_changed_meanwhile(tmp_path: Path) -> None:
    """A file that somebody writes to while it is read is not predicted by halves."""
    file = tmp_path / "t.csv"
    file.write_bytes(b"1,2\n")
    opened = ExitStack()
    opened.enter_context(LocalSource(file).open()).read()
    file.write_bytes(b"1,2\n3,4\n")
    with pytest.raises(StoreUnavailable, match="changed"):
        opened.close()


def test_a_changed_file_writes_nothing(tmp_path: Path, predictor: FilePredictor) -> None:
    """Predictions of a file that was changed meanwhile are not written under the name of either."""
    file = tmp_path / "t.csv"
    file.write_bytes(b"1,2,3,4\n" * 100)
    with pytest.raises(StoreUnavailable):
        predict_file(
            LocalSource(file),
            LocalPlace(tmp_path / "out"),
            PredictionRequest(b"", "flowers"),
            predictor,
            deadline=None,
            progress=lambda _: file.touch() or os.utime(file, (0, 0)),
        )

    assert ["t.csv"] == files_in(tmp_path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A path that is no file is said to be none."""
    os.mkfifo(tmp_path / "pipe.csv")
    for path, says in {"nowhere.csv": "No such file", ".": "not a regular file", "pipe.csv": "not a regular file"}.items():
        with pytest.raises(SettingError, match=f"cannot be read: .*{says}"):
            LocalSource(tmp_path / path)


def peak(models: Path, file: Path, out: Path, *waits: str) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "tests.batches.peak", str(models), str(file), str(out), *waits]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_killed_in_the_middle(file_models: Path, tmp_path: Path) -> None:
    """A process that is killed in the middle leaves nothing that looks done, and the next one does it all and clears up."""
    file, out = tmp_path / "t.csv", tmp_path / "out"
    file.write_bytes(b"1,2,3,4\n" * 50_000)
    running = peak(file_models, file, out, "and wait")
    try:
        assert running.stdout
        assert int(running.stdout.readline())
        running.send_signal(signal.SIGKILL)
    finally:
        running.communicate()
    left = files_in(out)
    done = peak(file_models, file, out)
    done.communicate(timeout=60)

    assert 1 == len(left)
    assert left[0].endswith(".part")
    assert (0, ["manifest.json", "predictions.csv"]) == (done.returncode, files_in(out))


def write(kind: str, path: Path, rows: int) -> None:
    array = np.round(np.random.default_rng(1).uniform(0.1, 7.9, (rows, 4)), 1).astype(np.float32)
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    made = pa.table({name: array[:, i] for i, name in enumerate(names)})
    if kind == "parquet":
        pq.write_table(made, path)
    elif kind == "arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, made.schema) as writer:
            writer.write_table(made, 10_000)
    elif kind == "npy":
        np.save(path, array)
    elif kind == "npz":
        np.savez_compressed(path, x=array)
    else:
        form = {"csv": '"%.1f",%.1f,%.1f,%.1f', "jsonl": "[%.1f,%.1f,%.1f,%.1f]"}[kind]
        path.write_text("".join([f"{form % tuple(row)}\n" for row in array.tolist()]))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "npy", "npz", "arrow", "parquet"])
def test_memory_is_flat(file_models: Path, tmp_path: Path, kind: str) -> None:
    """A file of thirty times the rows takes no more memory than 32 MB besides."""
    peaks: list[int] = []
    for rows in (10_000, 300_000):
        file = tmp_path / f"{rows}.{kind}"
        write(kind, file, rows)
        running = peak(file_models, file, tmp_path / "out")
        peaks.append(int(running.communicate(timeout=120)[0]))

    assert peaks[1] - peaks[0] < FLAT_BYTES, peaks
