"""docs/clients.md: every example runs and prints what is shown, and the matrix says what tests of this folder and others show."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import graphs
from tests.clients.fronts import ENVIRONMENT, SageMaker, SignedApi, before
from tests.document_examples import Example, examples_of
from tests.shells import ROOT, copy_models, emulator_url, server

DOCUMENT = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
API = "abc123.execute-api.eu-west-1.amazonaws.com"
EXAMPLES = examples_of(DOCUMENT)
NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[-+]?\d+)?")
Run = Callable[[str, Example, Path], str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs an example of a section in a folder: with ``onnx-lambda serve``, the emulator and what AWS puts before them in the addresses' place."""
    models = copy_models(tmp_path_factory.mktemp("documented") / "models")
    graphs.put(models, "my-encoder", graphs.text_embedding(), toml='[[examples]]\ninputs = { text = ["hello cat"] }\n')
    home = tmp_path_factory.mktemp("home")
    with contextlib.ExitStack() as stack:
        serving = stack.enter_context(server(models, fast_lane=True))
        api = stack.enter_context(before(serving, SignedApi))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            **ENVIRONMENT,
            "AWS_ENDPOINT_URL_LAMBDA": stack.enter_context(emulator_url(models)),
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": stack.enter_context(before(serving, SageMaker)),
        }
        (home / ".curlrc").write_text(f'connect-to = "{API}:80:{api.removeprefix("http://")}"\n')

        def printed(section: str, example: Example, folder: Path) -> str:
            code = example.code.replace("127.0.0.1:8000", serving.base_url.netloc.decode()).replace("FUNCTION_NAME", "function")
            code = code.replace(f"https://{API}", f"http://{API}" if example.language == "sh" else api)
            python = ROOT / ".venv-kserve/bin/python" if section == "kserve" else sys.executable
            command = ["sh", "-ec", code] if example.language == "sh" else [str(python), "-c", code]
            ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert (0, "") == (ended.returncode, ended.stderr)
            # the digest is shown cut
            shown = re.sub(r"(sha256:[0-9a-f]{8})[0-9a-f]{56}", r"\1…", ended.stdout)
            return shown.replace(serving.base_url.netloc.decode(), "127.0.0.1:8000")

        yield printed


@pytest.mark.parametrize("section", EXAMPLES)
def test_examples(run: Run, section: str, tmp_path: Path) -> None:
    """Each example of a section, in turn, prints what stands below it, numbers to three digits."""
    for example in EXAMPLES[section]:
        printed = run(section, example, tmp_path)

        assert NUMBER.split((example.shown or "").strip()) == NUMBER.split(printed.strip())
        assert pytest.approx([float(text) for text in NUMBER.findall(example.shown or "")], rel=1e-3, abs=1e-6) == [
            float(text) for text in NUMBER.findall(printed)
        ]


@pytest.mark.parametrize("key", ["", "--aws-sigv4 aws:amz:eu-west-1:execute-api --user AKIDEXAMPLE:another"])
def test_the_api_of_the_examples_takes_signed_calls_alone(run: Run, key: str, tmp_path: Path) -> None:
    """A call that is not signed, or with another secret, is refused, as on AWS."""
    call = f"curl -s https://{API}/predict {key} -H 'X-Amz-Security-Token: the-session-token' -d '[[5.1, 3.5, 1.4, 0.2]]'"

    assert '{"message":"Forbidden"}' == run("curl", Example("sh", call, None), tmp_path)


def test_links_to_sections() -> None:
    """Every link to a section of the page leads to one."""
    slugs = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", DOCUMENT, re.MULTILINE)}

    assert set(re.findall(r"\]\(#([^)]+)\)", DOCUMENT)) <= slugs


SERVE = "tests/clients/test_documentation.py::test_examples"
TRITON, KSERVE, OPENAI = (f"tests/clients/test_{name}.py" for name in ("tritonclient", "kserve", "openai"))
SAGEMAKER, SAM = "tests/clients/test_boto3_sagemaker.py", "tests/containers/test_sam.py"
EVERY_SHELL = ("serve", "FastAPI", "Mangum", "fast lane", "emulator")
# client → the lock that pins it (None: the machine's own), and what shows each ✓ of its row
PROOFS: dict[str, tuple[str | None, dict[str, tuple[str, ...]]]] = {
    "curl": (None, {SERVE: ("JSON", "Binary", "Errors", "Compressed", "serve")}),
    "Python's urllib": (None, {SERVE: ("JSON", "Errors", "serve")}),
    "httpx": (
        "dev",
        {
            "tests/http/test_contract.py::test_columns": ("JSON", *EVERY_SHELL),
            "tests/http/test_open_inference.py::test_mixed_tensors": ("Binary",),
            "tests/http/test_errors.py::test_unknown_model": ("Errors",),
            "tests/http/test_compression.py::test_compressed_request": ("Compressed",),
            f"{SAM}::test_api_predicts": ("sam local",),
        },
    ),
    "tritonclient[http]": (
        "dev",
        {
            f"{TRITON}::test_every_datatype": ("JSON", "Binary", "Async", "serve", "FastAPI"),
            f"{TRITON}::test_errors": ("Errors",),
            f"{TRITON}::test_compression": ("Compressed",),
            f"{TRITON}::test_its_bytes_through_every_shell": ("Mangum", "fast lane", "emulator"),
            f"{SAM}::test_api_speaks_to_tritonclient": ("sam local",),
        },
    ),
    "kserve, v1 and v2": (
        "kserve",
        {
            f"{KSERVE}::test_v2_datatypes": ("JSON", "Binary", "Async", "serve", "FastAPI"),
            f"{KSERVE}::test_v1_predictions": ("JSON", "Errors"),
            f"{KSERVE}::test_v2_errors": ("Errors",),
        },
    ),
    "openai": (
        "dev",
        {
            f"{OPENAI}::test_texts": ("JSON", "serve", "FastAPI"),
            f"{OPENAI}::test_asynchronously": ("Async",),
            f"{OPENAI}::test_refusals": ("Errors",),
        },
    ),
    "boto3, SageMaker": (
        "dev",
        {
            f"{SAGEMAKER}::test_json": ("JSON", "serve"),
            f"{SAGEMAKER}::test_triton_binary": ("Binary",),
            f"{SAGEMAKER}::test_errors": ("Errors",),
        },
    ),
    "boto3, Lambda": ("dev", {SERVE: ("JSON", "Errors", "emulator")}),
}


def rows() -> dict[str, dict[str, str]]:
    """The matrix: client → column → cell."""
    header, _, *lines = re.findall(r"^\|.*\|$", DOCUMENT.partition("## What was verified")[2], re.MULTILINE)
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, *lines)]
    return {row[0]: dict(zip(table[0], row, strict=True)) for row in table[1:]}


def test_matrix_has_every_client() -> None:
    """Each client has a row."""
    assert list(PROOFS) == list(rows())


@pytest.mark.parametrize("client", PROOFS)
def test_matrix(client: str) -> None:
    """Each ✓ is shown by a test that there is, whose file the row names, and the version is the one that is locked."""
    lock, proofs = PROOFS[client]
    row = rows()[client]
    shown = {column for columns in proofs.values() for column in columns}

    assert shown == {column for column, cell in row.items() if cell == "✓"}
    assert shown | {"Client", "Version", "Tests"} == {column for column, cell in row.items() if cell}
    files = {proof.partition("::")[0] for proof in proofs}
    assert files == {
        (Path("docs") / target).resolve().relative_to(ROOT).as_posix() for target in re.findall(r"\]\(([^)]+)\)", row["Tests"])
    }
    for proof in proofs:
        file, _, function = proof.partition("::")
        assert f"\ndef {function}(" in (ROOT / file).read_text(encoding="utf-8")
    if lock is not None:
        pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / f"{lock}.lock").read_text(), re.MULTILINE))
        assert pinned[re.split(r"[,[]", client)[0]] == row["Version"]
