"""Settings: read once from the environment, refused by name, and documented as they are."""

import ast
import inspect
from pathlib import Path

import pytest

from app import settings
from app.errors import SettingError
from app.settings import Settings, from_environment

DOCUMENT = Path(__file__).parent.parent / "docs" / "settings.md"


def sentences() -> dict[str, str]:
    """The sentence beside each field."""
    (cls,) = (node for node in ast.parse(inspect.getsource(settings)).body if isinstance(node, ast.ClassDef))
    found = {}
    for field, after in zip(cls.body, cls.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[field.target.id] = str(after.value.value)  # type: ignore[union-attr]
    return found


def table() -> str:
    """The table of docs/settings.md, made from the code."""
    lines = ["| Variable | Default | What it says |", "| --- | --- | --- |"]
    for name, value in Settings._field_defaults.items():
        if name in settings.PLATFORM_FIELDS:
            continue
        default = "(empty)" if value == "" else {True: "on", False: "off"}[value] if isinstance(value, bool) else value
        lines.append(f"| `{name.upper()}` | `{default}` | {sentences()[name]} |")
    return "\n".join(lines) + "\n"


def test_documentation_is_the_code() -> None:
    """docs/settings.md has the table that the code makes: every setting, its default, its sentence."""
    assert table() in DOCUMENT.read_text()


def test_every_field_has_a_sentence() -> None:
    """No setting goes without a sentence."""
    assert set(Settings._fields) == set(sentences())


def test_defaults() -> None:
    """An empty environment gives the defaults; an empty variable is as good as none."""
    assert Settings() == from_environment({}) == from_environment({"PORT": "", "LOG_LEVEL": ""})


def test_lambda_defaults() -> None:
    """On Lambda, limits are Lambda's own, requests are logged, and memory is the function's."""
    found = from_environment({"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3538"})

    assert (True, 3538, "INFO", 6291456, 6291456) == (
        found.on_lambda,
        found.memory_mb,
        found.log_level,
        found.max_body_bytes,
        found.max_result_bytes,
    )


def test_values_are_read() -> None:
    """Each kind of value is read."""
    found = from_environment({"PORT": "81", "HTTP_FAST_LANE": "OFF", "LOG_LEVEL": "debug", "BASE_PATH": "/a/b", "LOG_VALUES": "true"})

    assert (81, False, "DEBUG", "/a/b", True) == (found.port, found.http_fast_lane, found.log_level, found.base_path, found.log_values)


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("PORT", "http", "a whole number from 0 to 65535"),
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("PORT", "-1", "a whole number from 0 to 65535"),
        ("MAX_BODY_BYTES", "6MB", "a whole number of at least 1"),
        ("MAX_BODY_BYTES", "0", "a whole number of at least 1"),
        ("MAX_RESULT_BYTES", "1.5", "a whole number of at least 1"),
        ("HTTP_FAST_LANE", "maybe", "on or off"),
        ("LOG_VALUES", "2", "on or off"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("BASE_PATH", "ml", "starts with '/'"),
        ("BASE_PATH", "/ml/", "starts with '/'"),
        ("DEADLINE_MARGIN_MS", "100", "from 200 to 60000"),
        ("REQUEST_TIMEOUT_S", "0", "from 1 to 86400"),
        ("INTRA_OP_THREADS", "-1", "from 0 to 256"),
    ],
)
def test_wrong_values_are_named(name: str, value: str, takes: str) -> None:
    """A wrong value is refused with the setting's name and what it takes."""
    with pytest.raises(SettingError) as raised:
        from_environment({name: value})

    assert name in str(raised.value)
    assert takes in str(raised.value)
