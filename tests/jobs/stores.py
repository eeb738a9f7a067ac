"""The stores that the contract suite runs over, and what the suite asks of them besides the protocols."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from app.jobs.backend import Backend, Queue
from app.jobs.sqlite_backend import SqliteBackend
from app.storage import Storage, Upload
from app.storage.files import FileStorage
from tests.clock import Clock

# How long a received message is in its receiver's hands, and how often it can be before it is dead.
VISIBILITY_S = 2
MAX_RECEIVES = 3


class Stores(NamedTuple):
    """One store, empty.

    ``receive`` answers ids and receipts of up to 10 messages that can be had now, and waits for none; ``later`` returns when the
    queues' time has moved on by some seconds; ``put_at`` and ``get_at`` are a stranger with an address: the first says whether the
    bytes were taken, the second answers the bytes and their content type, or None.
    """

    backend: Backend
    storage: Storage
    receive: Callable[[Queue], list[tuple[str, str]]]
    acknowledge: Callable[[Queue, Sequence[str]], None]
    later: Callable[[float], None]
    put_at: Callable[[Upload, bytes], bool]
    get_at: Callable[[str], tuple[bytes, str] | None]


class Visitor:
    """Who has an address of a :class:`FileStorage`: what the server does with its requests, without the server."""

    def __init__(self, storage: FileStorage, clock: Callable[[], float]) -> None:
        self._storage = storage
        self._clock = clock

    def put_at(self, upload: Upload, body: bytes) -> bool:
        assert upload.method == "PUT"
        name, query = self._split(upload.url, "uploads")
        announced = self._storage.check_upload(name, query, self._clock())
        if announced is None or (len(body), hashlib.sha256(body).hexdigest()) != (announced.size, announced.digest):
            return False
        self._storage.put(announced.key, body)
        return True

    def get_at(self, url: str) -> tuple[bytes, str] | None:
        name, query = self._split(url, "downloads")
        linked = self._storage.check_link(name, query, self._clock())
        body = linked and self._storage.get(linked.key)
        return None if linked is None or body is None else (body, linked.content_type)

    @staticmethod
    def _split(url: str, way: str) -> tuple[str, Mapping[str, str]]:
        parts = urlsplit(url)
        *_, found, name = parts.path.split("/")
        return (name, dict(parse_qsl(parts.query, keep_blank_values=True))) if found == way else ("", {})


@contextmanager
def sqlite_stores() -> Iterator[Stores]:
    """The store of ``serve``, with a clock of its own."""
    clock = Clock()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(SqliteBackend(Path(folder, "jobs.db"), max_receives=MAX_RECEIVES, clock=clock)) as backend,
    ):
        storage = FileStorage(Path(folder, "storage"), base_url="http://server.test", clock=clock)
        visitor = Visitor(storage, clock)

        def receive(queue: Queue) -> list[tuple[str, str]]:
            messages = backend.receive(queue, clock(), limit=10, visibility_s=VISIBILITY_S)
            return [(message.id, message.receipt) for message in messages]

        yield Stores(backend, storage, receive, backend.acknowledge, clock.advance, visitor.put_at, visitor.get_at)


def aws_stores() -> AbstractContextManager[Stores]:
    """The store of Lambda, over moto's server; imported for the tests that ask for it alone, as it takes a second."""
    from tests.jobs.moto_stores import moto_stores

    return moto_stores()


STORES: dict[str, Callable[[], AbstractContextManager[Stores]]] = {"sqlite": sqlite_stores, "aws": aws_stores}
