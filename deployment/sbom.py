"""`python sbom.py REPORT MODELS_LOCK DPKG_STATUS`: the image's bill of materials as CycloneDX 1.6 on standard output.

Runs while the image is built, where nothing but Python is installed. Its sources are pip's own report of what it installed, with the
hash of each wheel that it verified (https://pip.pypa.io/en/stable/reference/installation-report/), the lock of the models, and the base
image's list of packages. The same image has the same bill: it holds no time and no address, and its number is made of its content.
"""

import json
import platform
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

# https://cyclonedx.org/docs/1.6/json/
SPECIFICATION = "1.6"
NAME = "onnx-lambda"


def bill(report: dict[str, Any], models: dict[str, Any], packages: str) -> dict[str, Any]:
    """The document, of pip's report, of models.lock, and of Debian's list of installed packages, which may be empty."""
    libraries = [_library(one) for one in sorted(report["install"], key=lambda one: _plain(one["metadata"]["name"]))]
    components = [_python(), *libraries, *_models(models), *_debian(packages)]
    found = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": NAME, "name": NAME, "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
        "dependencies": [
            {"ref": NAME, "dependsOn": [one["bom-ref"] for one in components]},
            *_dependencies(report["install"], {_plain(one["name"]): one["bom-ref"] for one in libraries}),
        ],
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(found, sort_keys=True))
    return {**found, "serialNumber": f"urn:uuid:{number}"}


def _plain(name: str) -> str:
    # https://packaging.python.org/en/latest/specifications/name-normalization/
    return re.sub(r"[-_.]+", "-", name).lower()


def _python() -> dict[str, Any]:
    version = platform.python_version()
    return {"type": "platform", "bom-ref": "python", "name": "python", "version": version, "purl": f"pkg:generic/python@{version}"}


def _library(installed: dict[str, Any]) -> dict[str, Any]:
    name, version = _plain(installed["metadata"]["name"]), installed["metadata"]["version"]
    purl = f"pkg:pypi/{name}@{quote(version)}"
    found = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": installed["download_info"]["archive_info"]["hashes"]["sha256"]}],
    }
    licence = installed["metadata"].get("license_expression")
    return {**found, "licenses": [{"expression": licence}]} if licence else found


def _models(lock: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every file of a model, by the hash that the function checks when it loads it."""
    for path, told in sorted(lock["files"].items()):
        reference = f"models/{path}"
        yield {
            "type": "machine-learning-model" if path.endswith(".onnx") else "data",
            "bom-ref": reference,
            "name": reference,
            "hashes": [{"alg": "SHA-256", "content": told["sha256"]}],
        }


def _debian(status: str) -> Iterator[dict[str, Any]]:
    """The packages of the base image, of dpkg's own file about them (deb822)."""
    for paragraph in status.strip().split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.+)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            purl = f"pkg:deb/debian/{quote(fields['Package'])}@{quote(fields['Version'])}?arch={fields['Architecture']}"
            yield {"type": "library", "bom-ref": purl, "name": fields["Package"], "version": fields["Version"], "purl": purl}


def _dependencies(installed: list[dict[str, Any]], references: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Who needs whom, among what is there; what only an extra needs is left out."""
    for one in sorted(installed, key=lambda one: _plain(one["metadata"]["name"])):
        wanted = [text for text in one["metadata"].get("requires_dist", []) if "extra ==" not in text]
        names = {_plain(match[0]) for text in wanted if (match := re.match(r"[A-Za-z0-9._-]+", text))}
        yield {
            "ref": references[_plain(one["metadata"]["name"])],
            "dependsOn": sorted(references[name] for name in names & references.keys()),
        }


def main(report: str, models_lock: str, dpkg_status: str) -> None:
    """Print the document."""
    lock, status = Path(models_lock), Path(dpkg_status)
    models = json.loads(lock.read_text())
    # The lock also names the graphs that others were prepared from; they are not in the image.
    there = {"files": {path: told for path, told in models["files"].items() if (lock.parent / path).exists()}}
    found = bill(json.loads(Path(report).read_text()), there, status.read_text() if status.exists() else "")
    print(json.dumps(found, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
