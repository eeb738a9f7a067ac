"""A source and a place in memory, for what does not depend on files."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import BinaryIO


class MemorySource:
    """Some bytes under a name."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content
        self.size, self.version = len(content), sha256(content).hexdigest()

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.content)


class MemoryPlace:
    """Files by name; ``committed`` counts how often each was made."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.committed: list[str] = []

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def size(self, name: str) -> int | None:
        return len(self.files[name]) if name in self.files else None

    @contextmanager
    def create(self, name: str, content_type: str, *, replace: bool = False) -> Iterator["MemoryOutput"]:
        yield MemoryOutput(self, name, replace=replace)

    def named(self, ending: str) -> bytes | None:
        """The one file whose name ends so."""
        found = [content for name, content in self.files.items() if name.endswith(ending) or ending in name.rpartition("/")[2]]
        assert len(found) < 2
        return found[0] if found else None


class MemoryOutput:
    def __init__(self, place: MemoryPlace, name: str, *, replace: bool) -> None:
        self._place, self._name, self._replace, self._parts = place, name, replace, list[bytes]()

    def write(self, data: bytes) -> None:
        self._parts.append(data)

    def commit(self) -> bool:
        if self._name in self._place.files and not self._replace:
            return False
        self._place.files[self._name] = b"".join(self._parts)
        self._place.committed.append(self._name)
        return True
