"""`onnx-lambda batch` on this machine, as a process."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import cli
from app.batches.tally import Progress
from app.cli.batch_progress import told
from app.storage.aws_clients import call
from tests.cli.test_commands import command
from tests.jobs.moto_stores import moto_names
from tests.shells import ROOT

GOOD = "5.1,3.5,1.4,0.2\n6.3,3.3,6.0,2.5\n"


def printed(ended: "subprocess.CompletedProcess[bytes]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.stdout.splitlines()]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_predicted(models: Path, tmp_path: Path) -> None:
    """A file is predicted into its folder, one line of JSON says what was done, and nothing is on standard error."""
    (tmp_path / "t.csv").write_text(GOOD)
    ended = command("batch", str(tmp_path / "t.csv"), str(tmp_path / "out"), models=models)
    made = printed(ended)[0]

    assert (0, b"", 1) == (ended.returncode, ended.stderr, len(printed(ended)))
    assert (2, 0, "iris", False) == (made["rows"], made["failures"], made["model"]["name"], made["done_before"])
    assert ["0", "2"] == [line.split(",")[0] for line in (tmp_path / "out" / made["predictions"]["name"]).read_text().splitlines()]
    assert made["rows"] == json.loads((Path(made["output"]) / "manifest.json").read_text())["rows"]


def test_what_is_done_is_passed_over(models: Path, tmp_path: Path) -> None:
    """The same command again writes nothing, and says that it was done before."""
    (tmp_path / "t.csv").write_text(GOOD)
    arguments = "batch", str(tmp_path / "t.csv"), str(tmp_path / "out")
    first = printed(command(*arguments, models=models))[0]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    second = printed(command(*arguments, models=models))[0]

    assert {**first, "done_before": True} == second
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


def test_failed_rows_are_said_by_the_exit_code(models: Path, tmp_path: Path) -> None:
    """Rows that failed make the exit code 3, and stand in a file with their lines; with a limit of none nothing is written."""
    (tmp_path / "t.csv").write_text(GOOD + "1,2,x,4\n")
    arguments = "batch", str(tmp_path / "t.csv"), str(tmp_path / "out")
    refused = command(*arguments, "--max-failures", "0", models=models)
    assert (1, b"", False) == (refused.returncode, refused.stdout, (tmp_path / "out").exists() and bool(files_in(tmp_path / "out")))
    assert b"t.csv: 1 of the first 3 rows failed" in refused.stderr
    assert 0 != command(*arguments, "--max-failures", "1.5", models=models).returncode

    ended = command(*arguments, "--max-failures", "50%", models=models)
    errors = (tmp_path / "out" / printed(ended)[0]["errors"]["name"]).read_text()

    assert 3 == ended.returncode
    assert (3, "wrong-datatype") == (json.loads(errors)["line"], json.loads(errors)["code"])


def test_a_folder_of_files(models: Path, tmp_path: Path) -> None:
    """Every file of a folder is predicted, and one that is wrong does not keep the others from it."""
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.csv").write_text(GOOD)
    (folder / "b.csv").write_text("a,b\n1,2\n")
    (folder / "deeper" / "c.jsonl").write_text("[5.1, 3.5, 1.4, 0.2]\n")
    (folder / "notes.txt").write_text("none of it")
    ended = command("batch", str(folder), str(tmp_path / "out"), models=models)

    assert 1 == ended.returncode
    assert ["a.csv", "c.jsonl"] == [Path(made["source"]["name"]).name for made in printed(ended)]
    assert 1 == len(ended.stderr.splitlines())
    assert b"b.csv: line 1: There is no column 'a'" in ended.stderr


def test_other_formats_models_and_rows(models: Path, tmp_path: Path) -> None:
    """Format, model and version are as asked for, and failed rows are left out where that is."""
    (tmp_path / "t.csv").write_text("1,2,3\n4,x,6\n7,8,9\n")
    arguments = "batch", str(tmp_path / "t.csv"), str(tmp_path / "out"), "--model", "counts", "--version", "1", "--format", "jsonl"
    made = [printed(command(*arguments, *more, models=models))[0] for more in ([], ["--omit-failed", "--threads", "1"])]

    assert ["[1,2,3]\nnull\n[7,8,9]\n", "[1,2,3]\n[7,8,9]\n"] == [
        (tmp_path / "out" / each["predictions"]["name"]).read_text() for each in made
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.csv", "OUT"], "nowhere.csv' cannot be read"),
        (["EMPTY", "OUT"], "holds no file"),
        (["FILE", "FILE"], "predictions go into a folder"),
        (["FILE", "OUT", "--model", "ghost"], "the models are"),
        (["--local", "s3://bucket/prefix/", "OUT"], "names no object"),
        (["s3://bucket/in.csv", "s3://bucket/out/"], "--state-machine"),
    ],
)
def test_mistakes_are_one_line(models: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    """A mistake ends with a sentence, and s3:// without --local is the batch machine's."""
    (tmp_path / "t.csv").write_text(GOOD)
    (tmp_path / "empty").mkdir()
    places = {"OUT": str(tmp_path / "out"), "FILE": str(tmp_path / "t.csv"), "EMPTY": str(tmp_path / "empty")}
    ended = command("batch", *[places.get(argument, argument) for argument in arguments], models=models)

    assert (1, b"") == (ended.returncode, ended.stdout)
    assert says in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()


def started(models: Path, file: Path, out: Path, stderr: int) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.environ["PATH"], "MODEL_DIR": str(models)}
    return subprocess.Popen(
        [sys.executable, "-m", "app", "batch", str(file), str(out)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=stderr
    )


def test_a_terminal_sees_a_bar_and_ctrl_c_leaves_nothing_half(models: Path, tmp_path: Path) -> None:
    """On a terminal a bar shows rows, speed and time left; Ctrl-C ends it with nothing half done, and the same command does it all."""
    file, out = tmp_path / "t.csv", tmp_path / "out"
    file.write_text(GOOD * 400_000)
    here, there = pty.openpty()
    running = started(models, file, out, there)
    os.close(there)
    try:
        seen = b""
        while b"rows/s" not in seen:
            seen += os.read(here, 4096)
        running.send_signal(signal.SIGINT)
        assert (b"", 130) == (running.communicate(timeout=60)[0], running.returncode)
    finally:
        running.kill()
        running.communicate()
        os.close(here)
    assert b"t.csv [" in seen
    assert b" s left" in seen
    assert [] == files_in(out)

    ended = command("batch", str(file), str(out), "--quiet", models=models)

    assert (0, b"") == (ended.returncode, ended.stderr)
    assert 800_000 == printed(ended)[0]["rows"]


def test_the_bar() -> None:
    """The bar says the share that was read, rows, failures, speed and what is left of the time."""
    assert "in.csv [" + "#" * 6 + "-" * 18 + "] 25 %, 1,000 rows, 3 failed, 500 rows/s, 6 s left" == told(
        "s3://bucket/in.csv", Progress(1000, 3, 50, 200), 2.0
    )
    assert told("in.csv", Progress(0, 0, 0, 0), 0.0).endswith("0 s left")


def test_objects_of_s3_on_this_machine(models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With --local an object of S3 is predicted here, into a prefix of a bucket."""
    monkeypatch.setenv("MODEL_DIR", str(models))
    with moto_names() as (_, names):
        call("s3", "put_object", Bucket=names.bucket, Key="in/t.csv", Body=GOOD.encode())
        place = f"s3://{names.bucket}"
        code = cli.main(["batch", "--local", f"{place}/in/t.csv", f"{place}/out"])
        made = json.loads(capsys.readouterr().out)
        body = call("s3", "get_object", Bucket=names.bucket, Key=f"out/{made['predictions']['name']}")["Body"].read()
        again = cli.main(["batch", "--local", f"{place}/in/t.csv", f"{place}/out"])
        missing = cli.main(["batch", "--local", f"{place}/in/ghost.csv", f"{place}/out"])

    assert (0, 0, 1) == (code, again, missing)
    assert 2 == len(body.splitlines())
    assert (f"{place}/in/t.csv", f"{place}/out/{made['predictions']['name'].rpartition('/')[0]}") == (
        made["source"]["name"],
        made["output"],
    )
