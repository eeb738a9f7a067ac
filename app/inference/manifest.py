"""``models/<name>/model.toml``: what the graph does not say about a model. Every key is optional."""

import json
from collections.abc import Collection
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from app.errors import ModelRefused
from app.images import Image

FILE_NAME = "model.toml"


class Example(NamedTuple):
    """A request that is known to be valid: ``inputs`` as in a request body."""

    title: str
    inputs: dict[str, Any]


class Golden(NamedTuple):
    """Samples with known answers, and how far an answer may be off (``numpy.isclose``)."""

    file: str
    rtol: float = 1e-4
    atol: float = 1e-5


class Manifest(NamedTuple):
    """The checked contents of one ``model.toml``; the defaults are what a model without one gets."""

    title: str = ""
    description: str = ""
    default: bool = False
    # What a prepared graph is loaded for: the layout of convolutions fits this CPU only if it is chosen at each start.
    optimize_for: Literal["cold-start", "throughput"] = "cold-start"
    labels: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    default_outputs: tuple[str, ...] = ()
    nan_input: Literal["refuse", "binary", "allow"] = "binary"
    nan_output: Literal["null", "string", "error"] = "null"
    image: Image | None = None
    examples: tuple[Example, ...] = ()
    golden: Golden | None = None
    # label → version: names of versions that do not change when another version takes the part
    version_labels: tuple[tuple[str, str], ...] = ()

    @property
    def example(self) -> dict[str, Any] | None:
        """The inputs of the first example, which stands for all."""
        return self.examples[0].inputs if self.examples else None

    def check_versions(self, model: str, versions: Collection[str]) -> None:
        """Check that every label names a version that there is.

        :raises ModelRefused: with the label and the versions.
        """
        for label, version in self.version_labels:
            if version not in versions:
                known = ", ".join(versions)
                raise ModelRefused(
                    f"{model}/{FILE_NAME}: 'version_labels.{label}' names the version '{version}', but the versions are {known}."
                )


def read(folder: Path) -> Manifest:
    """The manifest of the model in ``folder``.

    :raises ModelRefused: naming the key that is wrong and what it takes.
    """
    try:
        return of_table(folder.name, table_of(folder))
    except FileNotFoundError:
        return Manifest()


def table_of(folder: Path) -> dict[str, Any]:
    """What stands in ``model.toml``, unchecked.

    :raises ModelRefused: when it is no TOML.
    :raises FileNotFoundError: when there is none.
    """
    # Where there is a lock, the table stands in it, and this import is saved.
    import tomllib

    try:
        with (folder / FILE_NAME).open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelRefused(f"{folder.name}/{FILE_NAME} is not valid TOML: {error}") from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ModelRefused(f"{folder.name}/{FILE_NAME} cannot be read: {error.strerror}") from error


def of_table(model: str, table: dict[str, Any]) -> Manifest:
    """The manifest of a table.

    :raises ModelRefused: naming the key that is wrong and what it takes.
    """
    return _Reader(f"{model}/{FILE_NAME}").manifest(table)


class _Reader:
    """Turns a TOML table into a Manifest; every message says where."""

    def __init__(self, place: str) -> None:
        self._place = place

    def manifest(self, table: dict[str, Any]) -> Manifest:
        nan = self._table(table, "nan")
        self._known("nan.", nan, ("input", "output"))
        keys = ("title", "description", "default", "optimize_for", "labels", "features", "default_outputs")
        self._known("", table, (*keys, "nan", "image", "examples", "golden", "version_labels"))
        return Manifest(
            title=self._take(table, "title", str, ""),
            description=self._take(table, "description", str, ""),
            default=self._take(table, "default", bool, default=False),
            optimize_for=self._choice(table, "optimize_for", ("cold-start", "throughput"), "cold-start"),
            labels=self._strings(table, "labels"),
            features=self._strings(table, "features"),
            default_outputs=self._strings(table, "default_outputs"),
            nan_input=self._choice(nan, "nan.input", ("refuse", "binary", "allow"), "binary"),
            nan_output=self._choice(nan, "nan.output", ("null", "string", "error"), "null"),
            image=self._image(self._table(table, "image")) if "image" in table else None,
            examples=tuple(self._example(entry, i) for i, entry in enumerate(self._take(table, "examples", list, []))),
            golden=self._golden(self._table(table, "golden")) if "golden" in table else None,
            version_labels=self._version_labels(self._table(table, "version_labels")),
        )

    def _image(self, table: dict[str, Any]) -> Image:
        self._known("image.", table, ("input", "size", "channels", "layout", "scale", "mean", "std", "invert", "resize"))
        size = self._take(table, "image.size", list, [])
        if len(size) != 2 or not all(type(side) is int and 0 < side <= 16_384 for side in size):
            self._refuse("image.size", "takes [height, width], two whole numbers from 1 to 16384")
        channels = self._choice(table, "image.channels", ("L", "RGB", "BGR"), "RGB")
        layout = self._choice(table, "image.layout", ("HW", "HWC", "CHW"), "HW" if channels == "L" else "CHW")
        if layout == "HW" and channels != "L":
            self._refuse("image.layout", f"'HW' has no place for the channels of {channels}; use HWC or CHW")
        mean, std = self._numbers(table, "image.mean", (0.0,)), self._numbers(table, "image.std", (1.0,))
        if 0.0 in std:
            self._refuse("image.std", "must not contain 0")
        for key, values in (("image.mean", mean), ("image.std", std)):
            if channels == "L" and len(values) != 1:
                self._refuse(key, "takes one number where there is one channel")
        return Image(
            input=self._take(table, "image.input", str, ""),
            size=(size[0], size[1]),
            channels=channels,
            layout=layout,
            scale=float(self._take(table, "image.scale", (int, float), 1.0)),
            mean=mean,
            std=std,
            invert=self._take(table, "image.invert", bool, default=False),
            resize=self._choice(table, "image.resize", ("nearest", "box", "bilinear", "bicubic", "lanczos"), "bilinear"),
        )

    def _example(self, entry: Any, index: int) -> Example:
        place = f"examples[{index}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("inputs"), dict):
            self._refuse(place, "takes a table with 'inputs', a table of tensors by input name")
        self._known(f"{place}.", entry, ("title", "inputs"))
        try:
            json.dumps(entry["inputs"], allow_nan=False)
        except (TypeError, ValueError):
            self._refuse(place, "holds a date, NaN, infinity or another value that JSON does not have")
        return Example(title=self._take(entry, "title", str, ""), inputs=entry["inputs"])

    def _golden(self, table: dict[str, Any]) -> Golden:
        self._known("golden.", table, ("file", "rtol", "atol"))
        file = self._take(table, "golden.file", str, "golden.json")
        if "/" in file or "\\" in file or file in {"", ".", ".."}:
            self._refuse("golden.file", "takes the name of a file beside model.toml")
        rtol, atol = (float(self._take(table, f"golden.{key}", (int, float), d)) for key, d in (("rtol", 1e-4), ("atol", 1e-5)))
        return Golden(file, rtol, atol)

    def _version_labels(self, table: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        for label, version in table.items():
            if not isinstance(version, str):
                self._refuse(f"version_labels.{label}", 'takes the name of a version as a string, such as "1"')
            if not label or "/" in label or ":" in label:
                self._refuse(f"version_labels.{label}", "is no label: it is a part of a path, so it may not be empty or hold '/' or ':'")
        return tuple(table.items())

    def _known(self, prefix: str, table: dict[str, Any], keys: tuple[str, ...]) -> None:
        for key in table:
            if key not in keys:
                from difflib import get_close_matches

                guess = get_close_matches(key, keys, 1)
                hint = f"; did you mean '{prefix}{guess[0]}'?" if guess else f"; known are {', '.join(keys)}."
                raise ModelRefused(f"{self._place}: unknown key '{prefix}{key}'{hint}")

    def _take(self, table: dict[str, Any], key: str, kind: type | tuple[type, ...], default: Any) -> Any:
        value = table.get(key.rpartition(".")[2], default)
        if isinstance(value, float) and not isfinite(value):
            self._refuse(key, "must be a finite number")
        # bool is an int in Python, never in a manifest
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            names = kind.__name__ if isinstance(kind, type) else "number"
            words = {"str": "a string", "bool": "true or false", "list": "an array", "dict": "a table", "number": "a number"}
            self._refuse(key, f"takes {words[names]}, not {value!r:.40}")
        return value

    def _table(self, table: dict[str, Any], key: str) -> dict[str, Any]:
        found: dict[str, Any] = self._take(table, key, dict, {})
        return found

    def _strings(self, table: dict[str, Any], key: str) -> tuple[str, ...]:
        values = self._take(table, key, list, [])
        if not all(isinstance(value, str) for value in values):
            self._refuse(key, "takes an array of strings")
        if key != "labels" and len(set(values)) != len(values):
            self._refuse(key, "must not name the same thing twice")
        return tuple(values)

    def _numbers(self, table: dict[str, Any], key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        values = self._take(table, key, list, list(default))
        if len(values) not in {1, 3} or not all(type(value) in {int, float} for value in values):
            self._refuse(key, "takes one number, or one for each of three channels")
        return tuple(float(value) for value in values)

    def _choice(self, table: dict[str, Any], key: str, choices: tuple[str, ...], default: str) -> Any:
        value = self._take(table, key, str, default)
        if value not in choices:
            self._refuse(key, f"takes one of {', '.join(choices)}, not '{value}'")
        return value

    def _refuse(self, key: str, why: str) -> NoReturn:
        raise ModelRefused(f"{self._place}: '{key}' {why}.")
