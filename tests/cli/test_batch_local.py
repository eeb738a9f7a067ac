"""`onnx-lambda batch` on this machine, as a process."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
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
    *done, passed_over = printed(ended)
    assert ["a.csv", "c.jsonl"] == [Path(made["source"]["name"]).name for made in done]
    assert {"passed_over": {"unknown": 1, "names": [f"{folder}/notes.txt"], "predictions": 0}} == passed_over
    assert 2 == len(ended.stderr.splitlines())
    assert b"b.csv: line 1: There is no column 'a'" in ended.stderr
    assert b"passed over: 1 that end in none of .csv" in ended.stderr


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
        (["--local", "s3:///prefix/", "OUT"], "names no bucket"),
        (["FILE", "FILE/out"], "cannot be made: Not a directory"),
        (["PIPE", "OUT"], "is not a regular file"),
        (["s3://bucket/in.csv", "s3://bucket/out/"], "--state-machine"),
    ],
)
def test_mistakes_are_one_line(models: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    """A mistake ends with a sentence, and s3:// without --local is the batch machine's."""
    (tmp_path / "t.csv").write_text(GOOD)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    places = {"OUT": "out", "FILE": "t.csv", "EMPTY": "empty", "PIPE": "pipe.csv", "FILE/out": "t.csv/out"}
    ended = command("batch", *[str(tmp_path / places[one]) if one in places else one for one in arguments], models=models)

    assert (1, b"", 1) == (ended.returncode, ended.stdout, len(ended.stderr.splitlines()))
    assert says in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--threads", "0"], "argument --threads: '0' is not a whole number from 1 on."),
        (["--max-failures", "-1"], "argument --max-failures: '-1' is neither a whole number of rows"),
        (["--max-failures", "100%"], "nor a share from 0% to under 100%"),
    ],
)
def test_wrong_numbers_are_told(models: Path, arguments: list[str], says: str) -> None:
    """A number that cannot be is said to be so, with those that can."""
    ended = command("batch", "t.csv", "out", *arguments, models=models)

    assert (2, True) == (ended.returncode, says in ended.stderr.decode())


def test_one_file_does_not_stop_the_others(models: Path, tmp_path: Path) -> None:
    """What cannot be read of a folder is a line with its reason each and makes the exit code 1; everything else is done."""
    folder = tmp_path / "in"
    for name in ("a", "locked", "unlisted", "unopened", "z"):
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}.csv").write_text(GOOD)
    (folder / "dangling.csv").symlink_to("nowhere")
    (folder / "linked").symlink_to(folder)
    os.mkfifo(folder / "pipe.csv")
    (folder / os.fsdecode(b"bad\xff\x1b[31m.csv")).write_text(GOOD)
    for path, mode in {"locked/locked.csv": 0, "unlisted": 0, "unopened": 0o600}.items():
        (folder / path).chmod(mode)
    # What root may not do is not looked at otherwise.
    bound = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
    environment = {"PATH": os.environ["PATH"], "MODEL_DIR": str(models)}
    run = [*bound, sys.executable, "-m", "app", "batch", str(folder), str(tmp_path / "out")]
    ended = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False)
    for name in ("unlisted", "unopened"):
        (folder / name).chmod(0o700)
    told = ended.stderr.decode()

    assert 1 == ended.returncode
    assert ["a.csv", "z.csv"] == [Path(made["source"]["name"]).name for made in printed(ended)[:-1]]
    assert [f"{folder}/linked"] == printed(ended)[-1]["passed_over"]["names"]
    assert 7 == len(told.splitlines())
    for reason in (
        "dangling.csv' cannot be read: No such file",
        "pipe.csv' cannot be read: it is not a regular file",
        "bad\\udcff\\u001b[31m.csv' cannot be read: its name is not UTF-8",
        "locked.csv' cannot be read: Permission denied",
        "unlisted' cannot be read: Permission denied",
        "unopened.csv' cannot be read: Permission denied",
    ):
        assert reason in told


def test_predictions_are_not_predicted(models: Path, tmp_path: Path) -> None:
    """A folder that predictions are written into can be predicted again and again: only what was not written here is."""
    folder = tmp_path / "loop"
    folder.mkdir()
    (folder / "t.csv").write_text(GOOD + "1,2,x,4\n")
    ended = [command("batch", str(folder), str(folder), models=models) for _ in range(3)]

    assert [[False], [True], [True]] == [[made["done_before"] for made in printed(one) if "rows" in made] for one in ended]
    assert {"passed_over": {"unknown": 0, "names": [], "predictions": 3}} == printed(ended[2])[-1]
    assert b"passed over: 3 that batch has written." in ended[2].stderr
    assert ["errors.jsonl", "manifest.json", "predictions.csv", "t.csv"] == files_in(folder)


def test_a_full_disk_is_one_line(models: Path, tmp_path: Path) -> None:
    """Where predictions cannot be written that is one line, nothing half is left, and a file that still fits is done."""
    (tmp_path / "a.csv").write_text(GOOD * 50_000)
    (tmp_path / "b.csv").write_text(GOOD)
    line = f"ulimit -f 64; exec {sys.executable} -m app batch --quiet {tmp_path}/a.csv {tmp_path}/b.csv {tmp_path}/out"
    environment = {"PATH": os.environ["PATH"], "MODEL_DIR": str(models)}
    ended = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False)

    assert (1, 1) == (ended.returncode, len(ended.stderr.splitlines()))
    assert b"a.csv: The folder for predictions cannot be used: File too large." in ended.stderr
    assert (2, ["manifest.json", "predictions.csv"]) == (printed(ended)[0]["rows"], files_in(tmp_path / "out"))


@pytest.mark.parametrize(
    ("target", "says"), [("/dev/full", b"onnx-lambda batch: standard output cannot be written: No space left on device.\n"), ("", b"")]
)
def test_nobody_reads_the_result(models: Path, tmp_path: Path, target: str, says: bytes) -> None:
    """A full disk under standard output is one line, and a reader that has gone is none; the exit code is 1."""
    (tmp_path / "t.csv").write_text(GOOD)
    read, write = os.pipe()
    os.close(read)
    if target:
        os.close(write)
        write = os.open(target, os.O_WRONLY)
    environment = {"PATH": os.environ["PATH"], "MODEL_DIR": str(models)}
    run = [sys.executable, "-m", "app", "batch", str(tmp_path / "t.csv"), str(tmp_path / "out")]
    ended = subprocess.run(run, cwd=ROOT, env=environment, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write)

    assert (1, says) == (ended.returncode, ended.stderr)


def test_messages_are_of_this_command_and_printable(models: Path, tmp_path: Path) -> None:
    """Messages name this command's options, and nothing of a file reaches the terminal that it would obey."""
    (tmp_path / "named.csv").write_text("\x1b]0;x\x07,b\x00,c,\x9bd\n1,2,3,4\n")
    (tmp_path / "\x1b[2Jt.csv").write_text("a,b,c,d\n")
    np.save(tmp_path / "t.npy", np.ones((2, 4), np.float32))
    out = str(tmp_path / "out")
    names = command("batch", str(tmp_path / "named.csv"), str(tmp_path / "\x1b[2Jt.csv"), out, models=models).stderr.decode()
    several = command("batch", str(tmp_path / "t.npy"), out, "--format", "npy", models=models)
    one = command("batch", str(tmp_path / "t.npy"), out, "--format", "npy", "--outputs", "output_label", models=models)

    assert set() == {character for character in names if not character.isprintable()} - {"\n"}
    assert "\\u001b]0;x\\u0007" in names
    assert "--header absent says it has none" in names
    assert (1, True) == (several.returncode, b"choose one with --outputs output_probability" in several.stderr)
    assert (0, "predictions.npy") == (one.returncode, printed(one)[0]["predictions"]["name"].rpartition("/")[2])


def test_a_line_of_names_can_be_said_to_be_none(models: Path, tmp_path: Path) -> None:
    """With --header absent a first line of no numbers is a bad row, and with present one of numbers is names."""
    (tmp_path / "t.csv").write_text("a,b,c,d\n" + GOOD)
    arguments = "batch", str(tmp_path / "t.csv"), str(tmp_path / "out")
    absent, present = (command(*arguments, "--header", said, models=models) for said in ("absent", "present"))

    assert (3, 3, 1) == (absent.returncode, printed(absent)[0]["rows"], printed(absent)[0]["failures"])
    assert (1, True) == (present.returncode, b"There is no column 'a'" in present.stderr)


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
        call("s3", "put_object", Bucket=names.bucket, Key="in/deeper/u.csv", Body=GOOD.encode())
        call("s3", "put_object", Bucket=names.bucket, Key="in/notes.txt", Body=b"")
        capsys.readouterr()
        prefix = cli.main(["batch", "--local", f"{place}/in/", f"{place}/in/"])
        listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        call("s3", "delete_object", Bucket=names.bucket, Key=f"in/{listed[0]['predictions']['name']}")
        more = cli.main(["batch", "--local", f"{place}/in/", f"{place}/in/"])
        relisted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert (0, 0, 1, 0, 0) == (code, again, missing, prefix, more)
    assert [f"{place}/in/deeper/u.csv", f"{place}/in/t.csv"] == [one["source"]["name"] for one in listed[:-1]]
    assert [False, True] == [one["done_before"] for one in relisted[:-1]]
    assert {"passed_over": {"unknown": 1, "names": [f"{place}/in/notes.txt"], "predictions": 4 - 1}} == relisted[-1]
    assert 2 == len(body.splitlines())
    assert (f"{place}/in/t.csv", f"{place}/out/{made['predictions']['name'].rpartition('/')[0]}") == (
        made["source"]["name"],
        made["output"],
    )
