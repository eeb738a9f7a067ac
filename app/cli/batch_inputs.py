"""The files that ``onnx-lambda batch`` is to predict. A folder or prefix is walked; what of it is passed over is counted and told."""

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from app.batches import Source, formats
from app.batches.local import LocalSource
from app.errors import SettingError

S3 = "s3://"
# What app.batches.files writes: predictions that are predicted again would be so at each run.
_OURS = re.compile(r"(?:^|/)[0-9a-f]{16}/(?:predictions\.\w+|errors\.jsonl|manifest\.json|\.[^/]+\.part)\Z")
_SHOWN = 5


class Input(NamedTuple):
    """One file; it is opened when its turn comes, so that one that cannot be does not keep the others from theirs."""

    name: str
    find: Callable[[], Source]


class Inputs:
    """What the names on the command line stand for."""

    def __init__(self, names: list[str]) -> None:
        self._unknown: list[str] = []
        self._ours = 0
        self.found = [one for name in names for one in self._named(name)]

    def passed_over(self) -> dict[str, Any] | None:
        """For the summary: how many files of folders are not predicted, and the first of their names; None for none."""
        if not self._unknown and not self._ours:
            return None
        return {"passed_over": {"unknown": len(self._unknown), "names": self._unknown[:_SHOWN], "predictions": self._ours}}

    def told(self) -> str:
        """The same in words; empty for none."""
        names = ", ".join(self._unknown[:_SHOWN]) + (", …" if len(self._unknown) > _SHOWN else "")
        unknown = f"{len(self._unknown)} that end in none of {', '.join(formats.SUFFIXES)} or are linked folders: {names}"
        parts = [unknown] * bool(self._unknown) + [f"{self._ours} that batch has written"] * bool(self._ours)
        return f"passed over: {'; '.join(parts)}." if parts else ""

    def _named(self, name: str) -> list[Input]:
        if name.startswith(S3):
            bucket, _, key = name.removeprefix(S3).partition("/")
            if not bucket:
                raise SettingError(f"'{name}' names no bucket; s3://bucket/key does.")
            if key and not key.endswith("/"):
                return [Input(name, partial(_object, bucket, key))]
            found = [one for one in self._objects(bucket, key) if one is not None]
        elif os.path.isdir(name):  # noqa: PTH112 - Path.is_dir raises where it may not look
            found = [one for one in self._files(name) if one is not None]
        else:
            return [Input(name, partial(LocalSource, Path(name)))]
        return found or [_refused(name, f"'{name}' holds no file that ends in {', '.join(formats.SUFFIXES)} and was not written by batch.")]

    def _files(self, folder: str) -> Iterator[Input | None]:
        unreadable: list[OSError] = []
        for inside, folders, names in os.walk(folder, onerror=unreadable.append):
            folders.sort()
            # A link may lead to where the walk comes from.
            self._unknown += [str(path) for each in folders if (path := Path(inside, each)).is_symlink()]
            for name in sorted(names):
                path = Path(inside, name)
                yield self._kept(str(path), str(path.relative_to(folder).as_posix()), partial(LocalSource, path))
        for error in unreadable:
            yield _refused(str(error.filename), f"'{error.filename}' cannot be read: {error.strerror}.")

    def _objects(self, bucket: str, prefix: str) -> Iterator[Input | None]:
        from app.storage.s3_requests import listed

        for one in listed(bucket, prefix):
            key = str(one["Key"])
            if not key.endswith("/"):
                yield self._kept(f"{S3}{bucket}/{key}", key.removeprefix(prefix), partial(_object, bucket, key))

    def _kept(self, name: str, inside: str, find: Callable[[], Source]) -> Input | None:
        if _OURS.search(inside):
            self._ours += 1
        elif formats.media_type_of(name) is None:
            self._unknown.append(name)
        else:
            return Input(name, find)
        return None


def _object(bucket: str, key: str) -> Source:
    from app.storage.s3_streams import S3Source

    found = S3Source.find(bucket, key)
    if found is None:
        raise SettingError(f"'{S3}{bucket}/{key}' is not there, or may not be read.")
    return found


def _refused(name: str, reason: str) -> Input:
    def find() -> Source:
        raise SettingError(reason)

    return Input(name, find)
