"""``onnx-lambda batch``: whole files predicted, on this machine or by the batch machine on AWS."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson

from app.batches import Place, Source, formats
from app.batches.files import FilePredictor, predict_file
from app.batches.local import LocalPlace, LocalSource
from app.batches.manifest import Manifest
from app.cli.batch_progress import Bar
from app.errors import Problem, SettingError
from app.prediction import PredictionRequest
from app.wiring import wire

DONE, FAILED, DONE_WITH_FAILED_ROWS, INTERRUPTED = 0, 1, 3, 130
_S3 = "s3://"
_ACCEPTS = {suffix.removeprefix("."): media_type for suffix, media_type in formats.SUFFIXES.items() if not media_type.startswith("image/")}
_MOST_THREADS = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        f"Files end in {', '.join(formats.SUFFIXES)}. OUTPUT gets FILE/HASH/predictions.*, errors.jsonl where rows failed, and manifest.json; "
        "a line of JSON for each file goes to standard output. A file that was predicted before, by the same model, is passed over. "
        "Exit code: 0 every row is answered, 3 some rows failed, 1 something was not done."
    )
    parser.add_argument("input", nargs="+", metavar="INPUT", help="file, folder, or s3://bucket/key")
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
    if not arguments.local and any(str(name).startswith(_S3) for name in arguments.input):
        from app.cli.batch_machine import run as run_machine

        return run_machine(arguments)
    sources = list(_sources(arguments.input))
    place = _place(arguments.output)
    # Chunks side by side make better use of several CPUs than the threads of one run; the environment may say otherwise.
    threads = {"INTRA_OP_THREADS": "1"} if arguments.threads > 1 else {}
    program = wire({**threads, **os.environ, "PRELOAD_MODELS": "none", "JOBS": "off"})
    predictor = FilePredictor(program.predictor, program.repository)
    code = DONE
    try:
        for source in sources:
            code = max(code, _predict(source, place, arguments, predictor), key=(DONE, DONE_WITH_FAILED_ROWS, FAILED).index)
    except KeyboardInterrupt:
        print("onnx-lambda batch: stopped; what is done stays, and the same command does the rest.", file=sys.stderr)
        return INTERRUPTED
    return code


def _predict(source: Source, place: Place, arguments: argparse.Namespace, predictor: FilePredictor) -> int:
    asked = PredictionRequest(
        b"",
        arguments.model,
        arguments.version,
        content_type=getattr(source, "content_type", ""),
        accept=_ACCEPTS[arguments.format] if arguments.format else None,
    )
    try:
        with Bar(source.name, quiet=arguments.quiet) as bar:
            made = predict_file(
                source,
                place,
                asked,
                predictor,
                deadline=None,
                progress=bar.show,
                threads=arguments.threads,
                max_failures=arguments.max_failures,
                keep_failed=not arguments.omit_failed,
            )
    except Problem as problem:
        print(f"onnx-lambda batch: {source.name}: {problem.detail}", file=sys.stderr)
        return FAILED
    _tell(made, arguments.output)
    return DONE_WITH_FAILED_ROWS if made.failures else DONE


def _tell(made: Manifest, output: str) -> None:
    told = {**made.as_object(), "output": f"{output.rstrip('/')}/{made.folder}", "done_before": made.found}
    print(orjson.dumps(told).decode(), flush=True)


def _sources(names: list[str]) -> Iterator[Source]:
    for name in names:
        if name.startswith(_S3):
            yield _object(name)
        elif Path(name).is_dir():
            files = [path for path in sorted(Path(name).rglob("*")) if path.is_file() and formats.media_type_of(path.name)]
            if not files:
                raise SettingError(f"'{name}' holds no file that ends in {', '.join(formats.SUFFIXES)}.")
            yield from map(LocalSource, files)
        else:
            yield LocalSource(Path(name))


def _object(name: str) -> Source:
    from app.storage.s3_streams import S3Source

    bucket, _, key = name.removeprefix(_S3).partition("/")
    if not bucket or not key or key.endswith("/"):
        raise SettingError(f"'{name}' names no object; s3://bucket/key does. A whole prefix is the batch machine's: leave --local out.")
    found = S3Source.find(bucket, key)
    if found is None:
        raise SettingError(f"'{name}' is not there, or may not be read.")
    return found


def _place(output: str) -> Place:
    if not output.startswith(_S3):
        if Path(output).exists() and not Path(output).is_dir():
            raise SettingError(f"'{output}' is a file; predictions go into a folder.")
        return LocalPlace(Path(output))
    from app.storage.s3_streams import S3Place

    bucket, _, prefix = output.removeprefix(_S3).partition("/")
    return S3Place(bucket, f"{prefix.rstrip('/')}/" if prefix.strip("/") else "")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _failures(text: str) -> float:
    number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if number < 0 or (text.endswith("%") and number >= 1) or not (text.endswith("%") or number.is_integer()):
        raise ValueError
    return number


def _cpus() -> int:
    # In a container that has some of the machine's.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
