"""The bill of materials in the image: valid CycloneDX, and what is there, as the locks have it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.containers import engine
from tests.containers.contexts import copied

pytestmark = pytest.mark.containers

PLACE = "/usr/share/onnx-lambda/sbom.cdx.json"
# By CycloneDX's own library, against the schema of the specification: what it finds, or None.
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
"""


@pytest.fixture(name="bill", scope="module")
def _bill(image: str) -> dict[str, Any]:
    done = engine.run(image, PLACE, flags=("--entrypoint", "cat"))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def components(bill: dict[str, Any], prefix: str) -> dict[str, dict[str, Any]]:
    """Components by name, of one kind of reference."""
    return {one["name"]: one for one in bill["components"] if one["bom-ref"].startswith(prefix)}


def locked(lock: Path) -> dict[str, tuple[str, set[str]]]:
    """What a lock names: version, and the hashes of its files."""
    entries = re.split(r"\n(?=[a-z0-9])", lock.read_text().strip())
    found = {}
    for entry in entries:
        name, version = re.match(r"([a-z0-9.-]+)==([^ ;\\]+)", entry).groups()  # type: ignore[union-attr]
        found[name] = (version, set(re.findall(r"sha256:([0-9a-f]{64})", entry)))
    return found


def test_bill_is_cyclonedx(bill: dict[str, Any]) -> None:
    """The document is valid against the schema of its version, with nothing that the schema does not know."""
    python = engine.ROOT / ".venv-scan" / "bin" / "python"
    done = subprocess.run([python, "-c", VALIDATE], input=json.dumps(bill), capture_output=True, text=True, timeout=60, check=True)

    assert "None" == done.stdout.strip()
    assert ("CycloneDX", "1.6") == (bill["bomFormat"], bill["specVersion"])


def test_libraries_are_those_of_the_lock(bill: dict[str, Any]) -> None:
    """Every library has the version of the lock and the hash of one of its files, which pip has verified; none is missing."""
    wanted = locked(engine.ROOT / "requirements" / "runtime.lock")
    libraries = components(bill, "pkg:pypi/")

    assert {name: version for name, (version, _) in wanted.items()} == {name: one["version"] for name, one in libraries.items()}
    for name, one in libraries.items():
        assert one["hashes"][0]["content"] in wanted[name][1], name


def test_libraries_are_those_of_the_image(bill: dict[str, Any], image: str) -> None:
    """What is installed in the image is in the document, and nothing else."""
    code = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions(path=['/opt/python'])]))"
    installed = {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in json.loads(engine.python(image, code))}

    assert installed == {(one["name"], one["version"]) for one in components(bill, "pkg:pypi/").values()}


def test_models_are_those_of_the_image(bill: dict[str, Any], image: str) -> None:
    """Every file of a model is in the document with its hash."""
    code = (
        "import hashlib, json, pathlib; root = pathlib.Path('/var/task'); print(json.dumps({p.relative_to(root).as_posix():"
        " hashlib.sha256(p.read_bytes()).hexdigest() for p in (root / 'models').rglob('*') if p.is_file() and p.name != 'models.lock'}))"
    )

    assert json.loads(engine.python(image, code)) == {
        name: one["hashes"][0]["content"] for name, one in components(bill, "models/").items()
    }


def test_packages_of_the_base_are_there(bill: dict[str, Any]) -> None:
    """The base image's packages are in the document, as scanners look for them."""
    assert {"libc6", "openssl"} & components(bill, "pkg:deb/debian/").keys()


def test_bill_says_nothing_of_the_builder(bill: dict[str, Any]) -> None:
    """The document has no time, no address of a registry and no place on a machine, so that the same image has the same."""
    text = json.dumps(bill)

    assert "timestamp" not in text
    assert not re.search(r"https?://|/build/|/root|/home", text)


def test_wrong_hash_ends_the_build(tmp_path: Path) -> None:
    """A lock whose hashes are not those of the files makes no image."""
    context = copied(tmp_path / "context")
    lock = context / "requirements" / "runtime.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", lock.read_text()))
    done = engine.docker("build", "--no-cache", "--target", "build", str(context), timeout=300, check=False)

    assert 0 != done.returncode
    assert b"THESE PACKAGES DO NOT MATCH THE HASHES" in done.stdout + done.stderr


def test_services_that_the_code_calls_are_there(image: str) -> None:
    """botocore in the image knows every service that the code makes a client of."""
    code = (
        "import json, botocore.session; from app.storage.aws_clients import READ_S; session = botocore.session.Session();"
        " print(json.dumps([session.create_client(name, region_name='eu-west-1').meta.service_model.service_name for name in READ_S]))"
    )

    assert len(json.loads(engine.python(image, code))) >= 7
