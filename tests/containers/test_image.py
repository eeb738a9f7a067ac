"""What is in the image, and what is not."""

import json
import re
from typing import Any

import pytest

from tests.containers import engine

pytestmark = pytest.mark.containers

# Where Python's files are: the standard library's folder differs between base images.
FOLDERS = "import sysconfig; folders = ['/opt/python', '/var/task', sysconfig.get_path('stdlib')]; "


@pytest.fixture(scope="module")
def config(image: str) -> dict[str, Any]:
    """The image's configuration."""
    found: dict[str, Any] = json.loads(engine.docker("image", "inspect", image).stdout)[0]["Config"]
    return found


@pytest.fixture(scope="module")
def environment(config: dict[str, Any]) -> dict[str, str]:
    """The environment that the image sets."""
    return dict(entry.split("=", 1) for entry in config["Env"])


def test_environment_is_set_before_the_process_starts(environment: dict[str, str]) -> None:
    """ONNX Runtime's reporting is off, NumPy starts no threads, pydantic reads no entry points: all of it before the first import."""
    wanted = {
        "ORT_DISABLE_TELEMETRY": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    assert wanted.items() <= environment.items()
    assert {"HOST": "0.0.0.0", "PORT": "8080", "MODEL_DIR": "/var/task/models"}.items() <= environment.items()
    assert "AWS_EXECUTION_ENV" not in environment


def test_image_holds_no_secret(environment: dict[str, str], config: dict[str, Any], image: str) -> None:
    """Neither the environment, nor the labels, nor the build's history carries a credential or the address of a package registry."""
    history = engine.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout.decode()
    told = "\n".join([*(f"{k}={v}" for k, v in environment.items()), *map(str, (config["Labels"] or {}).values()), history])

    assert not re.search(r"(?i)secret|passw|token|credential|api_?key|AKIA[0-9A-Z]{16}", told)
    assert not re.search(r"(?i)index-url|find-links|https?://", re.sub(r"https?://\S*aws\S*", "", told))


def test_user_is_nobody_in_particular(config: dict[str, Any]) -> None:
    """The user is a number above 0, which clusters that forbid root can check."""
    user, _, group = config["User"].partition(":")

    assert int(user) > 0
    assert int(group) > 0


def test_nothing_that_serving_does_not_need(image: str) -> None:
    """No installer, no training library, no test and no second copy of ONNX Runtime is in the image."""
    modules = ["pip", "setuptools", "ensurepip", "wheel", "onnx", "sklearn", "skl2onnx", "scipy", "pytest", "boto3", "test", "idlelib"]
    code = FOLDERS + (
        "import importlib.util as u, json, os\n"
        f"found = [name for name in {modules} if u.find_spec(name)]\n"
        "for folder in ['/opt', '/var/task', '/usr']:\n"
        "    for place, folders, files in os.walk(folder):\n"
        "        found += [os.path.join(place, n) for n in folders if n in ('tests', 'test', 'ensurepip', 'pip', 'setuptools')\n"
        "                  or n.startswith(('pip-', 'setuptools-'))]\n"
        "        found += [os.path.join(place, n) for n in files if n.endswith('.whl') or n.startswith(('libonnxruntime.so', 'test_'))\n"
        "                  or (place.endswith('bin') and n.startswith('pip'))]\n"
        "print(json.dumps(found))"
    )

    assert [] == json.loads(engine.python(image, code))


def test_no_source_file_is_compiled_at_a_start(image: str) -> None:
    """Every source file on the import path has a .pyc that is current and is never compared with its source's time."""
    code = FOLDERS + (
        "import json, os, importlib.util as u\n"
        "problems, count = [], 0\n"
        "for folder in folders:\n"
        "    for place, _, files in os.walk(folder):\n"
        "        for name in files:\n"
        "            path = os.path.join(place, name)\n"
        "            if not name.endswith('.py'): continue\n"
        "            count += 1\n"
        "            compiled = u.cache_from_source(path)\n"
        "            if not os.path.exists(compiled): problems.append('none: ' + path); continue\n"
        "            head = open(compiled, 'rb').read(16)\n"
        "            if head[:4] != u.MAGIC_NUMBER or head[4:8] != b'\\x01\\x00\\x00\\x00': problems.append('checked: ' + path)\n"
        "            if head[8:] != u.source_hash(open(path, 'rb').read()): problems.append('stale: ' + path)\n"
        "print(json.dumps([count, problems]))"
    )
    count, problems = json.loads(engine.python(image, code))

    assert [] == problems
    assert count > 1500


def test_every_file_can_be_read_by_lambdas_own_user(image: str) -> None:
    """Files and folders of the function are readable for everybody, and writable for root alone."""
    code = (
        "import os, json\n"
        "bad = []\n"
        "for folder in ['/opt/python', '/var/task', '/entrypoint.sh']:\n"
        "    for place, _, files in [(os.path.dirname(folder), [], [os.path.basename(folder)]), *os.walk(folder)]:\n"
        "        for path in [place, *(os.path.join(place, n) for n in files)]:\n"
        "            mode = os.stat(path).st_mode\n"
        "            if mode & 0o444 != 0o444 or (os.path.isdir(path) and mode & 0o111 != 0o111) or os.access(path, os.W_OK): bad.append(path)\n"
        "print(json.dumps(bad))"
    )

    assert [] == json.loads(engine.python(image, code, flags=("--user", "993:990")))


def test_models_are_prepared(image: str) -> None:
    """The image holds the optimised graphs with their lock, and not the originals."""
    code = "import pathlib; print(*sorted(str(p.relative_to('/var/task/models')) for p in pathlib.Path('/var/task/models').rglob('*') if p.is_file()))"

    assert [
        "digits/1/model.prepared.onnx",
        "digits/golden.json",
        "digits/model.toml",
        "iris/1/model.prepared.onnx",
        "iris/golden.json",
        "iris/model.toml",
        "models.lock",
    ] == engine.python(image, code).split()


def test_command_line_is_there(image: str) -> None:
    """`docker run IMAGE predict` answers a body from standard input, without a network and on a read-only root."""
    done = engine.run(image, "predict", flags=("--network", "none", *engine.HARDENED), stdin=b'{"inputs": {"X": [[5.1, 3.5, 1.4, 0.2]]}}')

    assert 0 == done.returncode, done.stderr.decode()
    assert [0] == json.loads(done.stdout)["outputs"]["output_label"]
    assert b"serve" in engine.run(image, "--help").stdout


def test_without_lambda_the_image_says_what_to_do(image: str) -> None:
    """`docker run IMAGE` outside Lambda ends at once and names the two ways to run it."""
    done = engine.run(image)

    assert 64 == done.returncode
    assert b"docker run -p 8080:8080 IMAGE serve" in done.stderr
    assert b"aws-lambda-rie" in done.stderr


def test_image_is_small(image: str) -> None:
    """The image adds at most 200 MB to its base: what it holds is looked at before it grows."""
    sizes = [int(engine.docker("image", "inspect", "--format", "{{.Size}}", name).stdout) for name in (image, "python:3.13-slim-trixie")]

    print(f"image {sizes[0] / 1e6:.1f} MB, its base {sizes[1] / 1e6:.1f} MB")
    assert sizes[0] - sizes[1] < 200e6
