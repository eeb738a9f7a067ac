"""Bytes by key, in a folder or in S3. What is put there is whole or not there, and what is read is what was put."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, runtime_checkable


class Upload(NamedTuple):
    """How a caller puts bytes there by himself: one request with exactly these headers."""

    method: str
    url: str
    headers: dict[str, str]


class Found(NamedTuple):
    """An object that is there. ``digest`` is its SHA-256 in hexadecimal; empty where that is not known."""

    size: int
    digest: str


class Storage(Protocol):
    """Every method may raise :class:`app.errors.StoreUnavailable`, which tells nothing of the outcome."""

    def put(self, key: str, body: bytes) -> str:
        """Keep bytes, durably and whole; what was there before is replaced. Answers their SHA-256 in hexadecimal."""

    def get(self, key: str, digest: str = "") -> bytes | None:
        """The bytes, or None where there are none.

        :param digest: the SHA-256 that they must have.
        :raises StoreUnavailable: also for bytes that are not those.
        """

    def find(self, key: str) -> Found | None:
        """What is known of an object without reading it; None where there is none."""

    def copy(self, source: str, target: str) -> bool:
        """Keep the same bytes under another key; False where there are none."""

    def delete(self, key: str) -> None:
        """Forget the bytes; nothing happens where there are none."""

    def link(self, key: str, *, seconds: int, content_type: str) -> str:
        """An address at which anybody can read the bytes for some seconds."""

    def upload(self, key: str, *, size: int, digest: str, seconds: int) -> Upload:
        """How to put exactly the bytes of this size and SHA-256 (hexadecimal) there within some seconds."""

    def older_than(self, prefix: str, before: float) -> Iterator[str]:
        """Keys that begin with a prefix and were put before a time (seconds since the epoch)."""


class Announced(NamedTuple):
    """What an upload's address was made for: exactly these bytes, under this key."""

    key: str
    size: int
    digest: str


class Linked(NamedTuple):
    """What a link was made for."""

    key: str
    content_type: str


@runtime_checkable
class Addressed(Storage, Protocol):
    """A storage whose addresses are on this very server. S3 answers its own."""

    def check_upload(self, name: str, query: Mapping[str, str], now: float) -> Announced | None:
        """What may be put at ``/uploads/{name}``; None where the address is not one of ours or its time is over."""

    def check_link(self, name: str, query: Mapping[str, str], now: float) -> Linked | None:
        """What may be read at ``/downloads/{name}``; None where the address is not one of ours or its time is over."""
