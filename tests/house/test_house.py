"""The house rules that a tool can check: who may import what, how long files are, what no committed file may hold."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted([*(ROOT / "app").rglob("*.py"), ROOT / "handler.py"])
# library → the files that may import it (design.md, "each library has an owner")
OWNERS = {
    "fastapi": {"app/http/fastapi_app.py"},
    "starlette": {"app/http/fastapi_app.py"},
    "mangum": {"handler.py"},
    "onnxruntime": {"app/inference/session.py", "app/inference/preparation.py"},
    "onnxruntime_extensions": {"app/inference/extensions.py"},
    "boto3": set(),
    "botocore": {
        "app/jobs/aws_backend.py",
        "app/jobs/aws_queues.py",
        "app/storage/aws_clients.py",
        "app/storage/releases.py",
        "app/storage/s3.py",
        "app/storage/s3_parts.py",
        "app/storage/s3_requests.py",
        "app/storage/step_functions.py",
    },
    "aws_lambda_powertools": {"app/observability.py"},
    "sqlite3": {"app/jobs/sqlite_file.py"},
    "uvicorn": {"app/cli/serve.py", "app/cli/http_protocol.py", "app/cli/quick_protocol.py"},
    "httptools": {"app/cli/http_protocol.py", "app/cli/quick_protocol.py"},
    "simdjson": {"app/codecs/number_array.py"},
    "PIL": {"app/codecs/image.py"},
    "pyarrow": {"app/batches/parquet_file.py", "app/batches/table_answers.py", "app/codecs/arrow_columns.py", "app/codecs/parquet.py"},
    "onnx": set(),
    "sklearn": set(),
    "pydantic": set(),
}
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py", "base.py", "misc.py"}
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".lock", ".txt", ".sh", ".cfg", ""}


def imports(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / line for line in listed if line and (ROOT / line).is_file()]


@pytest.mark.parametrize("library", OWNERS)
def test_each_library_has_an_owner(library: str) -> None:
    """A library is imported by its owner alone, so that it can be replaced in one place."""
    assert {name(path) for path in SOURCES if library in imports(path)} <= OWNERS[library]


def test_nothing_imports_the_handler() -> None:
    """handler.py is the top: nothing of app imports it."""
    assert [] == [name(path) for path in SOURCES if "handler" in imports(path)]


@pytest.mark.parametrize("folder", ["app", "training", "benchmarks"])
def test_files_are_short(folder: str) -> None:
    """A file of more than 250 lines is no longer one subject."""
    long = {name(path): lines for path in (ROOT / folder).rglob("*.py") if (lines := path.read_text().count("\n")) > 250}

    assert {} == long


def test_functions_are_short() -> None:
    """A function of more than 45 lines with its docstring is more than one thing."""
    long = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno and node.end_lineno - node.lineno >= 45:
                long[f"{name(path)}:{node.name}"] = node.end_lineno - node.lineno + 1

    assert {} == long


def test_files_are_named_for_their_subject() -> None:
    """No file is called after nothing in particular."""
    assert [] == [name(path) for path in SOURCES if path.name in FORBIDDEN_NAMES]


def test_every_test_says_what_is_true() -> None:
    """Every test has a docstring of its behaviour."""
    bare = [
        f"{name(path)}:{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert [] == bare


def test_no_machine_and_no_registry_in_committed_files() -> None:
    """No committed file names a package registry's address, a pip index or a place on somebody's machine."""
    host = re.compile(
        r"--(?:extra-)?index-url\s+\S|(?:index|pypi|files|registry)[\w.-]*\.(?:org|com|io|net)/(?:simple|packages)|/home/\w+/|/Users/\w+/|/root/\.\w+"
    )
    host = re.compile(f"{host.pattern}|{re.escape(str(ROOT))}/")
    found = [
        f"{name(path)}: {match[0]}"
        for path in committed()
        if path.suffix in TEXT
        and path != Path(__file__)
        and path.stat().st_size < 2_000_000
        and (match := host.search(path.read_text(errors="replace")))
    ]

    assert [] == found


def test_locks_have_hashes() -> None:
    """Every locked dependency has its hashes."""
    for lock in (ROOT / "requirements").rglob("*.lock"):
        entries = re.split(r"\n(?=[a-z0-9])", lock.read_text().strip())
        assert len(entries) > 5
        assert [] == [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]


def test_errors_are_drawn() -> None:
    """The trees in errors.py show every error with its status and code, and docs/errors.md explains each."""
    from app import errors
    from app.jobs import errors as of_jobs

    trees = f"{errors.__doc__}{of_jobs.__doc__}"
    document = (ROOT / "docs" / "errors.md").read_text()
    problems = [
        cls
        for cls in (*vars(errors).values(), *vars(of_jobs).values())
        if isinstance(cls, type) and issubclass(cls, errors.Problem) and cls is not errors.Problem
    ]
    assert len(problems) > 30
    for cls in problems:
        assert re.search(rf"{cls.__name__}\s+{cls.status}\s+{cls.code}\b", trees), cls
        assert f"`{cls.code}` | {cls.status} |" in document, cls


def test_links_in_the_documents_lead_somewhere() -> None:
    """Every relative link of a document leads to a file."""
    broken = []
    for path in committed():
        if path.suffix == ".md":
            targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())
            broken += [f"{name(path)}: {target}" for target in targets if not (path.parent / target).exists()]
    assert [] == broken
