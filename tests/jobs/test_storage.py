"""What every storage does, asked of each of them."""

import hashlib
import os
import time

import pytest

from app.errors import StoreUnavailable
from app.storage import Found
from tests.jobs.stores import Stores

MEGABYTES_10 = os.urandom(1 << 20) * 10


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("body", [b"", b"\x00", MEGABYTES_10], ids=["0", "1", "10 MB"])
def test_bytes_come_back(stores: Stores, body: bytes) -> None:
    """What was put is read again to the last byte, and found with its size and SHA-256."""
    assert sha256(body) == stores.storage.put("payloads/ab-c_d.0", body)

    assert body == stores.storage.get("payloads/ab-c_d.0")
    assert body == stores.storage.get("payloads/ab-c_d.0", sha256(body))
    assert Found(len(body), sha256(body)) == stores.storage.find("payloads/ab-c_d.0")


def test_bytes_are_replaced_and_deleted(stores: Stores) -> None:
    """The last bytes that were put under a key are there, until they are deleted; deleting what is not there does nothing."""
    stores.storage.put("a", b"first, and longer")
    stores.storage.put("a", b"second")
    assert b"second" == stores.storage.get("a")

    stores.storage.delete("a")
    stores.storage.delete("a")
    assert (None, None) == (stores.storage.get("a"), stores.storage.find("a"))


def test_nothing_is_missing_quietly(stores: Stores) -> None:
    """What was never put is None, with a digest too, and is not copied."""
    assert (None, None, None) == (stores.storage.get("no"), stores.storage.get("no", sha256(b"")), stores.storage.find("no"))
    assert not stores.storage.copy("no", "b")
    assert stores.storage.find("b") is None


def test_keys_are_apart(stores: Stores) -> None:
    """A key may begin another, with a slash between them or not."""
    keys = ["a", "a/b", "a/b/c", "ab"]
    for key in keys:
        stores.storage.put(key, key.encode())
    stores.storage.delete("a/b")

    assert [b"a", None, b"a/b/c", b"ab"] == [stores.storage.get(key) for key in keys]


def test_bytes_with_another_digest_are_refused(stores: Stores) -> None:
    """Bytes that are not those asked for are not handed out, and the error says what helps instead of waiting (F-44)."""
    stores.storage.put("a", b"these")

    with pytest.raises(StoreUnavailable, match="Asking again does not help; send the request or the upload anew") as damaged:
        stores.storage.get("a", sha256(b"those"))
    assert {} == damaged.value.headers


def test_bytes_are_copied(stores: Stores) -> None:
    """A copy has the same bytes and a life of its own: it replaces what was there, and outlives and outchanges its source."""
    stores.storage.put("from", b"first")
    stores.storage.put("to", b"before")
    assert stores.storage.copy("from", "to")
    assert stores.storage.copy("from", "to")
    stores.storage.put("from", b"second")
    assert (b"first", b"second") == (stores.storage.get("to"), stores.storage.get("from"))

    assert stores.storage.copy("from", "to")
    stores.storage.delete("from")
    assert (b"second", None) == (stores.storage.get("to"), stores.storage.get("from"))


def test_old_bytes_are_found(stores: Stores) -> None:
    """Keys are found by how they begin and by when they were put."""
    for key in ("uploads/a", "uploads/b", "uploads-other/c", "results/d"):
        stores.storage.put(key, b"")
    soon, before = time.time() + 60, time.time() - 60

    assert ["uploads/a", "uploads/b"] == sorted(stores.storage.older_than("uploads/", soon))
    assert 4 == len(list(stores.storage.older_than("", soon)))
    assert [] == list(stores.storage.older_than("", before))


def test_old_bytes_are_deleted_while_they_are_found(stores: Stores) -> None:
    """What is found can be deleted before the next is looked for."""
    keys = [f"uploads/{number}" for number in range(20)]
    for key in keys:
        stores.storage.put(key, b"")
    for key in stores.storage.older_than("uploads/", time.time() + 60):
        stores.storage.delete(key)

    assert [None] * 20 == [stores.storage.find(key) for key in keys]


@pytest.mark.parametrize("body", [b"", b"bytes of an upload"], ids=["0", "18"])
def test_an_upload_takes_the_bytes_that_were_announced(stores: Stores, body: bytes) -> None:
    """Whoever has the address can put the announced bytes there, a second time too."""
    upload = stores.storage.upload("uploads/a", size=len(body), digest=sha256(body), seconds=60)
    assert stores.storage.find("uploads/a") is None
    assert stores.put_at(upload, body)
    assert stores.put_at(upload, body)

    assert body == stores.storage.get("uploads/a")
    assert Found(len(body), sha256(body)) == stores.storage.find("uploads/a")


def test_a_link_reads(stores: Stores) -> None:
    """Whoever has the address can read the bytes, with the content type that was said."""
    stores.storage.put("results/a", b"\x00result")

    url = stores.storage.link("results/a", seconds=60, content_type="application/vnd.apache.arrow.stream")
    assert (b"\x00result", "application/vnd.apache.arrow.stream") == stores.get_at(url)


def test_a_link_to_nothing(stores: Stores) -> None:
    """An address of bytes that are gone reads nothing."""
    assert stores.get_at(stores.storage.link("results/gone", seconds=60, content_type="application/json")) is None
