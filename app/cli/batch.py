"""``onnx-lambda batch``: whole files predicted, on this machine or by the batch machine on AWS."""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.batches import Place, Source, formats
from app.batches.files import FilePredictor, predict_file
from app.batches.local import LocalPlace
from app.cli.batch_inputs import S3, Input, Inputs
from app.cli.batch_progress import Bar
from app.cli.printable import printable
from app.errors import Problem, SettingError
from app.prediction import PredictionRequest
from app.wiring import wire

DONE, FAILED, DONE_WITH_FAILED_ROWS, INTERRUPTED = 0, 1, 3, 130
_ACCEPTS = {suffix.removeprefix("."): media_type for suffix, media_type in formats.SUFFIXES.items() if not media_type.startswith("image/")}
_MOST_THREADS = 8
_OPTIONS = [
    (re.compile(pattern), option)
    for pattern, option in (
        ("Content-Type: text/csv; header=", "--header "),
        (r"\?outputs=", "--outputs "),
        (r"\baccept application/jsonl or text/csv", "use --format jsonl or csv"),
        (r"\baccept application/(?:x-)?(jsonl|npz)", r"use --format \1"),
        (r"\baccept JSON", "use --format jsonl"),
    )
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        f"Files end in {', '.join(formats.SUFFIXES)}. OUTPUT gets FILE/HASH/predictions.*, errors.jsonl where rows failed, and manifest.json; "
        "a line of JSON for each file goes to standard output. A file that was predicted before, by the same model, is passed over; "
        "one that was ended in its middle begins anew. "
        "Exit code: 0 every row is answered, 3 some rows failed, 1 something was not done."
    )
    parser.add_argument("input", nargs="+", metavar="INPUT", help="file, folder, s3://bucket/key, or s3://bucket/prefix/")
    parser.add_argument("output", metavar="OUTPUT", help="folder or s3://bucket/prefix/")
    parser.add_argument("--model", help="model to ask (default: the default model)")
    parser.add_argument("--version", "--model-version", help="version to ask (default: the newest)")
    parser.add_argument("--format", choices=sorted(_ACCEPTS), help="format of the predictions (default: the file's own)")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    here = parser.add_argument_group("on this machine")
    here.add_argument("--local", action="store_true", help="predict objects of S3 on this machine too")
    here.add_argument(
        "--threads", type=_positive, default=min(_cpus(), _MOST_THREADS), help="chunks that are answered at once (%(default)s)"
    )
    here.add_argument(
        "--max-failures", type=_failures, metavar="N|N%", help="rows that may fail, or their share; more, and nothing is written"
    )
    here.add_argument("--header", choices=("present", "absent"), help="whether CSV begins with names (default: what it looks like)")
    here.add_argument("--outputs", type=_names, metavar="A,B", help="outputs to answer (default: the model's choice)")
    here.add_argument("--omit-failed", action="store_true", help="leave failed rows out of the predictions, whose lines then are others")
    there = parser.add_argument_group("by the batch machine (s3:// without --local)")
    there.add_argument("--state-machine", metavar="ARN", help="its name (default: BATCH_STATE_MACHINE_ARN)")
    there.add_argument("--max-concurrency", type=_positive, metavar="N", help="invocations at once")
    there.add_argument("--max-items-per-batch", type=_positive, metavar="N", help="rows of one invocation")
    there.add_argument("--tolerated-failure-percentage", type=float, metavar="N", help="rows that may fail, in percent")
    there.add_argument("--resume", action="store_true", help="go on where a run has failed")
    there.add_argument("--no-wait", action="store_true", help="start it and print its name")


def run(arguments: argparse.Namespace) -> int:
    """Predict every file; what one of them makes go wrong does not keep the next from its turn."""
    if not arguments.local and any(str(name).startswith(S3) for name in arguments.input):
        from app.cli.batch_machine import run as run_machine

        return run_machine(arguments)
    inputs = Inputs(arguments.input)
    place = _place(arguments.output)
    # Chunks side by side make better use of several CPUs than the threads of one run; the environment may say otherwise.
    threads = {"INTRA_OP_THREADS": "1"} if arguments.threads > 1 else {}
    program = wire({**threads, **os.environ, "PRELOAD_MODELS": "none", "JOBS": "off"})
    predictor = FilePredictor(program.predictor, program.repository)
    code = DONE
    try:
        for one in inputs.found:
            code = max(code, _predict(one, place, arguments, predictor), key=(DONE, DONE_WITH_FAILED_ROWS, FAILED).index)
        if passed_over := inputs.passed_over():
            _say(inputs.told())
            _tell(passed_over)
    except KeyboardInterrupt:
        _say("stopped; the files that are done stay. The same command passes over them, and begins the one in the middle anew.")
        return INTERRUPTED
    except _Untold as error:
        # Whoever reads it has gone, or its disk is full; what is left to write would be refused once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if str(error):
            _say(f"standard output cannot be written: {error}.")
        return FAILED
    return code


class _Untold(Exception):
    """Standard output takes no more; with the reason, where somebody may hear it."""


def _predict(one: Input, place: Place, arguments: argparse.Namespace, predictor: FilePredictor) -> int:
    try:
        source = one.find()
        with Bar(source.name, quiet=arguments.quiet) as bar:
            made = predict_file(
                source,
                place,
                _asked(source, arguments),
                predictor,
                deadline=None,
                progress=bar.show,
                threads=arguments.threads,
                max_failures=arguments.max_failures,
                keep_failed=not arguments.omit_failed,
            )
    except Problem as problem:
        _say(f"{one.name}: {_as_options(problem.detail)}")
        return FAILED
    except SettingError as error:
        _say(str(error))
        return FAILED
    except OSError as error:
        _say(f"{one.name}: {error.strerror or 'the system refused it'}.")
        return FAILED
    _tell({**made.as_object(), "output": f"{arguments.output.rstrip('/')}/{made.folder}", "done_before": made.found})
    return DONE_WITH_FAILED_ROWS if made.failures else DONE


def _asked(source: Source, arguments: argparse.Namespace) -> PredictionRequest:
    content_type = str(getattr(source, "content_type", ""))
    if arguments.header:
        content_type = f"text/csv; header={arguments.header}"
    accept = _ACCEPTS[arguments.format] if arguments.format else None
    return PredictionRequest(
        b"", arguments.model, arguments.version, content_type=content_type, accept=accept, outputs=tuple(arguments.outputs or ())
    )


def _as_options(text: str) -> str:
    """What the API calls something, as this command does."""
    for pattern, option in _OPTIONS:
        text = pattern.sub(option, text)
    return text


def _say(text: str) -> None:
    with suppress(OSError):
        print(f"onnx-lambda batch: {printable(text)}", file=sys.stderr, flush=True)


def _tell(told: Mapping[str, Any]) -> None:
    # A path that is no text never comes here but in what is passed over.
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    try:
        print(printable(text), flush=True)
    except BrokenPipeError as error:
        raise _Untold from error
    except OSError as error:
        raise _Untold(error.strerror or "the system refused it") from error


def _place(output: str) -> Place:
    if not output.startswith(S3):
        # At once, and not after hours.
        try:
            Path(output).mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise SettingError(f"'{output}' is a file; predictions go into a folder.") from error
        except OSError as error:
            raise SettingError(f"The folder '{output}' for predictions cannot be made: {error.strerror}.") from error
        return LocalPlace(Path(output))
    from app.storage.s3_streams import S3Place

    bucket, _, prefix = output.removeprefix(S3).partition("/")
    return S3Place(bucket, f"{prefix.rstrip('/')}/" if prefix.strip("/") else "")


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 on.")
    return int(text)


def _failures(text: str) -> float:
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not number >= 0 or (text.endswith("%") and number >= 1) or not (text.endswith("%") or number.is_integer()):
        raise argparse.ArgumentTypeError(f"'{text}' is neither a whole number of rows, 0 or more, nor a share from 0% to under 100%.")
    return number


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _cpus() -> int:
    # In a container that has some of the machine's.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
