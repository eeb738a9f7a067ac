"""``onnx-lambda batch s3://…``: starts a run of the batch machine on AWS, shows how far it is, and prints what it came to.

The same command finds the same execution again, as long as input, output and model are the same (Step Functions keeps the names of
executions for 90 days).
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson

from app.batches.machine_run import Asked
from app.batches.machine_start import Started, start_batch, with_version
from app.errors import SettingError, StoreUnavailable
from app.storage import step_functions
from app.storage.aws_clients import within
from app.storage.step_functions import Counts, Execution

DONE, FAILED, DONE_WITH_FAILED_ROWS, INTERRUPTED = 0, 1, 3, 130
_SETTING = "BATCH_STATE_MACHINE_ARN"
# Between two looks; where nobody watches a line is enough now and then.
_LOOK_S, _LINE_S = 2.0, 30.0
_MOST_TRIES = 20


def run(parsed: argparse.Namespace, pause: Callable[[float], None] = time.sleep) -> int:
    """Start or find the execution, wait for it, print the summary as one line of JSON; see :mod:`app.cli.batch` for the arguments.

    :returns: 0 all rows are answered, 1 the run failed, 3 it is done and some rows are bad or missing.
    """
    machine = _given(parsed, "state_machine", "") or os.environ.get(_SETTING, "")
    if not machine:
        raise SettingError(
            f"A file in S3 is predicted by the batch machine: name it by --state-machine or {_SETTING} (the stack's output BatchMachineArn), "
            "or predict it on this machine by --local."
        )
    asked = with_version(_asked(parsed))
    started = start_batch(machine, asked)
    found = _found(started)
    resumes = _given(parsed, "resume", default=False)
    if resumes and not found.is_running:
        started, found = _resumed(machine, asked, started, found)
    quiet = _given(parsed, "quiet", default=False)
    if not quiet:
        print(f"{'Started' if started.is_new else 'Found'} {started.run.name}; results go to {started.run.output}", file=sys.stderr)
    if _given(parsed, "no_wait", default=False):
        print(orjson.dumps({"execution": started.arn, "status": found.status, "output": started.run.output}).decode())
        return FAILED if found.status in {"FAILED", "TIMED_OUT", "ABORTED"} else DONE
    try:
        found = _watched(started, found, pause, quiet=quiet)
    except KeyboardInterrupt:
        print("It goes on; the same command shows it again.", file=sys.stderr)
        return INTERRUPTED
    return _told(started, found)


def _asked(parsed: argparse.Namespace) -> Asked:
    inputs = parsed.input if isinstance(parsed.input, list) else [parsed.input]
    if len(inputs) != 1:
        raise SettingError("The batch machine takes one input; for several files name the prefix that they are under, s3://bucket/prefix/.")
    output = str(parsed.output)
    asked = Asked(str(inputs[0]), output if output.endswith("/") else f"{output}/")
    wanted = {name: _given(parsed, name, None) for name in ("max_concurrency", "max_items_per_batch", "tolerated_failure_percentage")}
    numbers: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    if (share := numbers.get("tolerated_failure_percentage")) is not None and share == int(share):
        numbers["tolerated_failure_percentage"] = int(share)
    return asked._replace(
        model=_given(parsed, "model", None) or "",
        version=_given(parsed, "version", None) or "",
        output_format=_given(parsed, "format", None) or "",
        **numbers,
    )


def _given(parsed: argparse.Namespace, name: str, default: Any) -> Any:
    return getattr(parsed, name, default)


def _found(started: Started) -> Execution:
    # Reading follows writing within seconds ("Read consistency"): what is not there yet runs.
    return step_functions.execution(started.arn) or Execution(started.arn, "RUNNING")


def _resumed(machine: str, asked: Asked, started: Started, found: Execution) -> tuple[Started, Execution]:
    """What goes on where the last try ended: that execution again, or, where it cannot be, another one in the same folder."""
    for number in range(2, _MOST_TRIES):
        if found.is_running:
            return started, found
        if found.status != "SUCCEEDED" and found.redrivable and step_functions.redrive(started.arn):
            return started, Execution(started.arn, "RUNNING")
        if found.status == "SUCCEEDED" and not _missing(found):
            return started, found
        started = start_batch(machine, asked, try_number=number)
        found = _found(started)
        if started.is_new:
            return started, found
    raise SettingError(f"{_MOST_TRIES} runs of this have ended without its end; look at what they say, and use another output.")


def _watched(started: Started, found: Execution, pause: Callable[[float], None], *, quiet: bool) -> Execution:
    began, last = time.monotonic(), 0.0
    before: Counts | None = None
    while found.is_running:
        if not quiet:
            counts = _counts(started.arn)
            now = time.monotonic()
            if counts is not None and counts.total and (sys.stderr.isatty() or not last or now - last >= _LINE_S):
                before = before or counts
                _show(counts, before, now - began)
                last = now
        pause(_LOOK_S)
        try:
            found = _found(started)
        except StoreUnavailable:
            # It runs whether somebody looks or not.
            continue
    if not quiet and last and sys.stderr.isatty():
        print(file=sys.stderr)
    return found


def _counts(arn: str) -> Counts | None:
    try:
        with within():
            return step_functions.counts(arn)
    except StoreUnavailable:
        return None


def _show(counts: Counts, first: Counts, seconds: float) -> None:
    done = counts.total - counts.left
    speed = (first.left - counts.left) / seconds if seconds > 1 else 0.0
    left = f", {counts.left / speed:,.0f} s left" if speed > 0 else ""
    bad = f", {counts.failed:,} failed" if counts.failed else ""
    line = f"{done:,} of {counts.total:,} rows ({100 * done / counts.total:.1f} %){bad}{left}"
    print(f"\r{line:<78}" if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def _told(started: Started, found: Execution) -> int:
    if found.status != "SUCCEEDED":
        counts = _counts(started.arn) or Counts()
        told = {"execution": started.arn, "status": found.status, "error": found.error, "rows": counts.total, "failed": counts.failed}
        print(orjson.dumps({**told, "output": started.run.output}).decode())
        print(f"{found.status.lower()}: {found.error}: {found.cause}\n--resume goes on where it ended.", file=sys.stderr)
        return FAILED
    summary = orjson.loads(found.output or "{}")
    print(orjson.dumps({"execution": started.arn, "status": found.status, **summary, "output": started.run.output}).decode())
    return DONE_WITH_FAILED_ROWS if summary.get("failed") or summary.get("missing") else DONE


def _missing(found: Execution) -> bool:
    return bool(orjson.loads(found.output or "{}").get("missing"))
