"""The command line: one file a command, and this table."""

import argparse
import importlib
import sys
from collections.abc import Sequence

import app
from app.cli.printable import printable
from app.errors import ModelRefused, Problem, SettingError

# command → what it does, in one line; the module of the same name has add_arguments and run.
COMMANDS: dict[str, str] = {
    "serve": "serve the models over HTTP on this machine",
    "predict": "answer one request body, from a file or standard input",
    "batch": "predict whole files, on this machine or with Step Functions",
    "build": "optimise the models, write models.lock, replay the golden samples",
    "openapi": "show or write what API Gateway makes the API of, from the route table",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit code: 0 done, 1 refused or failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="onnx-lambda",
        description="Run trained ONNX models as an HTTPS endpoint. Settings are environment variables: docs/settings.md.",
    )
    parser.add_argument("--version", action="version", version=f"onnx-lambda {app.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in wanted if not word.startswith("-")), "")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        # only the command that was asked for is imported: `--help` and mistakes cost nothing
        if name == chosen:
            importlib.import_module(f"app.cli.{name}").add_arguments(command)
    parsed = parser.parse_args(wanted)
    try:
        code: int = importlib.import_module(f"app.cli.{parsed.command}").run(parsed)
    except (SettingError, ModelRefused) as error:
        print(f"onnx-lambda {parsed.command}: {printable(str(error), keep=chr(10))}", file=sys.stderr)
        return 1
    except Problem as problem:
        place = f" (at {problem.pointer})" if problem.pointer else ""
        print(f"onnx-lambda {parsed.command}: {printable(problem.detail + place)}", file=sys.stderr)
        return 1
    return code
