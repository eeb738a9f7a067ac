"""``onnx-lambda batch s3://…``: what it starts, finds, shows and answers."""

import argparse
import json
from typing import Any

import pytest

from app.cli import batch_machine
from app.errors import Invalid, SettingError, StoreUnavailable
from app.storage import aws_clients, step_functions
from tests.machine.conftest import Cloud, table
from tests.machine.memory_machine import ARN, MemoryMachine, in_the_way, refused

SUMMARY = {"rows": 1000, "answered": 1000, "failed": 0, "missing": 0, "parts": 1, "key": "out/summary.json"}
DONE = ("SUCCEEDED", SUMMARY)
BAD = ("SUCCEEDED", {**SUMMARY, "answered": 998, "failed": 2})
MISSING = ("SUCCEEDED", {**SUMMARY, "answered": 998, "missing": 2})
FAILED = ("FAILED", {"error": "States.ExceedToleratedFailureThreshold", "cause": "too many"})


def command(cloud: Cloud, machine: MemoryMachine, capsys: pytest.CaptureFixture[str], **more: Any) -> tuple[int, dict[str, Any], str]:
    """Run it; the code, the answer and what was shown."""
    parsed = argparse.Namespace(
        input=f"s3://{cloud.bucket}/in.csv",
        output=f"s3://{cloud.bucket}/out",
        **{"state_machine": ARN, "quiet": False, "model": None, **more},
    )
    with in_the_way(machine):
        code = batch_machine.run(parsed, lambda _: None)
    shown = capsys.readouterr()
    return code, json.loads(shown.out), shown.err


@pytest.fixture
def filled(cloud: Cloud) -> Cloud:
    """A bucket with a file."""
    cloud.put("in.csv", table(3))
    return cloud


@pytest.mark.parametrize(("end", "code"), [(DONE, 0), (BAD, 3), (MISSING, 3), (FAILED, 1), (("ABORTED", {}), 1), (("TIMED_OUT", {}), 1)])
def test_codes(filled: Cloud, capsys: pytest.CaptureFixture[str], end: Any, code: int) -> None:
    """0: all rows are answered; 3: done, with rows that are not; 1: failed. The summary is one line of JSON."""
    found = command(filled, MemoryMachine(end), capsys)

    assert code == found[0]
    assert end[0] == found[1]["status"]
    assert "100 of 1,000 rows" in found[2] or "106 of 1,000" in found[2]
    assert "6 failed" in found[2]
    assert ("--resume" in found[2]) is (code == 1)


def test_the_same_command_finds_the_same_execution(filled: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """The second command starts nothing and answers the same; another model is another execution."""
    machine = MemoryMachine(DONE, DONE)
    first, second = (command(filled, machine, capsys)[:2] for _ in range(2))

    assert first == second
    assert 1 == len(machine.started)
    command(filled, machine, capsys, model="other")
    assert 2 == len(machine.started)


def test_resume_redrives_what_failed(filled: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """--resume has a failed execution go on, and one that is done stay as it is."""
    machine = MemoryMachine(FAILED, DONE)
    assert 1 == command(filled, machine, capsys)[0]
    assert 1 == command(filled, machine, capsys)[0], "without it nothing is begun again"
    for _ in range(3):
        assert 0 == command(filled, machine, capsys, resume=True)[0]

    assert machine.started == machine.redriven


@pytest.mark.parametrize("end", [FAILED, MISSING])
def test_resume_where_nothing_can_be_redriven(filled: Cloud, capsys: pytest.CaptureFixture[str], end: Any) -> None:
    """Another execution goes on in the same folder, once."""
    machine = MemoryMachine(end, DONE, redrivable=False)
    first = command(filled, machine, capsys)[1]
    for _ in range(2):
        code, second, _ = command(filled, machine, capsys, resume=True)
        assert 0 == code
        assert first["output"] == second["output"]

    assert [machine.started[0], f"{machine.started[0]}-2"] == machine.started


def test_quiet_and_not_waiting(filled: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but the answer is written, and without waiting it says that it runs."""
    code, answer, shown = command(filled, MemoryMachine(DONE), capsys, quiet=True, no_wait=True)

    assert (0, "RUNNING", "") == (code, answer["status"], shown)


def test_what_an_execution_is_told(filled: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """The arguments are the execution's, and the input's version is its ETag."""
    machine = MemoryMachine(DONE)
    command(filled, machine, capsys, model="iris", version="1", max_concurrency=7, tolerated_failure_percentage=0, format="jsonl")

    etag = aws_clients.call("s3", "head_object", Bucket=filled.bucket, Key="in.csv")["ETag"].strip('"')
    names = ("model", "model_version", "max_concurrency", "tolerated_failure_percentage", "output_format", "input_format", "version")
    assert ("iris", "1", 7, 0, "jsonl", "csv", etag) == tuple(machine.told[name] for name in names)
    assert machine.told["output_prefix"].startswith("out/in.csv/")


def test_an_interrupt_leaves_it_running(filled: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends the watching and says so."""
    parsed = argparse.Namespace(input=[f"s3://{filled.bucket}/in.csv"], output=f"s3://{filled.bucket}/out/", state_machine=ARN)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with in_the_way(MemoryMachine(DONE)):
        assert 130 == batch_machine.run(parsed, interrupt)
    assert "goes on" in capsys.readouterr().err


def test_looks_that_fail_do_not_end_it(filled: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """A look that Step Functions does not answer is one look less."""
    machine = MemoryMachine(DONE)
    look, looks = machine.describe_execution, iter(range(100))

    def describe(**asked: str) -> dict[str, Any]:
        if 0 < next(looks) < 3:
            raise refused("AccessDeniedException")
        return look(**asked)

    machine.describe_execution = describe  # type: ignore[method-assign]
    assert 0 == command(filled, machine, capsys)[0]


def test_mistakes_are_explained(filled: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No machine, another one, no input, a share of 200 percent: each says what to do."""
    machine = MemoryMachine(DONE)
    monkeypatch.delenv("BATCH_STATE_MACHINE_ARN", raising=False)
    with pytest.raises(SettingError, match="BATCH_STATE_MACHINE_ARN"):
        command(filled, machine, capsys, state_machine=None)
    with pytest.raises(SettingError, match="no such state machine"):
        command(filled, machine, capsys, state_machine=f"{ARN}-other")
    with pytest.raises(SettingError, match="by its ARN"):
        command(filled, machine, capsys, state_machine="batch")
    with pytest.raises(Invalid, match="from 0 to 100"):
        command(filled, machine, capsys, tolerated_failure_percentage=200)
    filled.bucket += "-other"
    with pytest.raises((Invalid, StoreUnavailable)):
        command(filled, machine, capsys)

    assert [] == machine.started


def test_a_lost_answer_is_the_same_execution(filled: Cloud) -> None:
    """Where StartExecution's answer was lost, asking again finds what it started."""
    machine = MemoryMachine(DONE)
    started = machine.start_execution

    def lose(**arguments: Any) -> dict[str, Any]:
        if not machine.started:
            started(**arguments)
            raise refused("InternalServerError")
        return started(**arguments)

    machine.start_execution = lose  # type: ignore[method-assign,assignment]
    with in_the_way(machine):
        arn, is_new = step_functions.start(ARN, "name", {})

    assert (f"{ARN.replace('stateMachine', 'execution')}:name", False) == (arn, is_new)
