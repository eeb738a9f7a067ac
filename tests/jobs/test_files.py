"""The folder of ``serve``: what stands in it, what its addresses allow, and what it does where the disk fails."""

import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.errors import SettingError, StoreUnavailable
from app.storage import Upload
from app.storage.files import FileStorage
from tests.clock import Clock
from tests.jobs.stores import Visitor

BODY = b"bytes of an upload"
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(tmp_path: Path, clock: Clock) -> FileStorage:
    return FileStorage(tmp_path / "storage", base_url="http://server.test/prefix", clock=clock)


@pytest.fixture
def visitor(storage: FileStorage, clock: Clock) -> Visitor:
    return Visitor(storage, clock)


def announced(storage: FileStorage) -> Upload:
    return storage.upload("uploads/a", size=len(BODY), digest=DIGEST, seconds=60)


def test_an_upload_is_on_the_server_itself(storage: FileStorage, clock: Clock) -> None:
    """An upload's address is one path segment of the server with all that is claimed, and nothing of the machine."""
    upload = announced(storage)
    parts = urlsplit(upload.url)

    assert ("PUT", {}) == (upload.method, upload.headers)
    assert "http://server.test/prefix/uploads/uploads~a" == upload.url.partition("?")[0]
    claims = dict(parse_qsl(parts.query))
    assert {"expires": str(int(clock.now) + 60), "size": "18", "digest": DIGEST, "signature": claims["signature"]} == claims


@pytest.mark.parametrize("body", [b"", BODY[:-1], BODY + b"\x00", BODY.upper()], ids=["none", "shorter", "longer", "others"])
def test_an_upload_takes_no_other_bytes(storage: FileStorage, visitor: Visitor, body: bytes) -> None:
    """Bytes of another size or digest than announced are refused, and nothing of them is kept."""
    assert not visitor.put_at(announced(storage), body)
    assert storage.find("uploads/a") is None


def _altered(name: str, value: str) -> Callable[[str], str]:
    return lambda url: "&".join(f"{name}={value}" if part.startswith(f"{name}=") else part for part in url.replace("?", "?&").split("&"))


ALTERED: dict[str, Callable[[str], str]] = {
    "another key": lambda url: url.replace("uploads~a", "uploads~b"),
    "a key outside": lambda url: url.replace("uploads~a", ".addresses.key"),
    "another way": lambda url: url.replace("/uploads/", "/downloads/"),
    "later": _altered("expires", "9999999999"),
    "another size": _altered("size", "17"),
    "another digest": _altered("digest", hashlib.sha256(b"").hexdigest()),
    "another signature": _altered("signature", "0" * 64),
    "an empty signature": _altered("signature", ""),
    "an odd signature": _altered("signature", "%C3%A9%00"),
    "no signature": lambda url: url.partition("&signature")[0],
    "no claims": lambda url: url.partition("?")[0],
    "one claim more": lambda url: f"{url}&type=a",
    "moved text": lambda url: url.replace("size=18&digest=", "size=1&digest=8"),
}


@pytest.mark.parametrize("alter", list(ALTERED.values()), ids=list(ALTERED))
def test_an_altered_upload_is_refused(storage: FileStorage, visitor: Visitor, alter: Callable[[str], str]) -> None:
    """An address with any part changed takes nothing, not even the bytes that were announced."""
    upload = announced(storage)
    altered = alter(upload.url)
    assert altered != upload.url

    assert not visitor.put_at(upload._replace(url=altered), BODY)
    assert [None, None] == [storage.find("uploads/a"), storage.find("uploads/b")]
    assert visitor.put_at(upload, BODY)


def test_an_upload_ends(storage: FileStorage, visitor: Visitor, clock: Clock) -> None:
    """An upload's address takes bytes to the end of its time, and none from then on."""
    upload = announced(storage)
    clock.advance(59)
    assert visitor.put_at(upload, BODY)

    clock.advance(1)
    assert not visitor.put_at(upload, BODY)


def test_a_link_reads_nothing_else(storage: FileStorage, visitor: Visitor, clock: Clock) -> None:
    """A link reads one key in one content type for a time, cannot be altered, and puts nothing."""
    for key in ("results/a", "results/b"):
        storage.put(key, key.encode())
    url = storage.link("results/a", seconds=60, content_type="text/csv; header=present")
    assert (b"results/a", "text/csv; header=present") == visitor.get_at(url)

    for altered in (url.replace("~a", "~b"), url.replace("csv", "html"), _altered("expires", "9999999999")(url), url.partition("&sig")[0]):
        assert visitor.get_at(altered) is None, altered
    assert not visitor.put_at(Upload("PUT", url.replace("/downloads/", "/uploads/"), {}), b"results/a")
    clock.advance(60)
    assert visitor.get_at(url) is None


def test_addresses_outlive_the_process(storage: FileStorage, tmp_path: Path, clock: Clock) -> None:
    """Another process on the same folder takes the addresses of the first; a process on another folder does not."""
    upload = announced(storage)

    assert Visitor(FileStorage(tmp_path / "storage"), clock).put_at(upload, BODY)
    assert not Visitor(FileStorage(tmp_path / "other"), clock).put_at(upload, BODY)


def test_the_folder_is_its_owners(storage: FileStorage, tmp_path: Path) -> None:
    """The key for addresses and all bytes can be read by their owner alone."""
    storage.put("a", BODY)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "storage").iterdir()}

    assert {".addresses.key": 0o600, "a": 0o600} == modes
    assert 0o700 == stat.S_IMODE((tmp_path / "storage").stat().st_mode)


def test_a_damaged_key_is_told(storage: FileStorage, tmp_path: Path) -> None:
    """A key for addresses that somebody cut stops the start, in words without a path."""
    (tmp_path / "storage" / ".addresses.key").write_bytes(b"short")
    with pytest.raises(SettingError) as refused:
        FileStorage(tmp_path / "storage")

    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize(
    "key",
    ["", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", ".a", "a/.b", "a b", "a\n", "a~b", "a\\b", "é", "a\x00", "x" * 241],
)
def test_odd_keys_are_refused(storage: FileStorage, key: str) -> None:
    """A key that could be anything but a name in the folder never reaches the disk (F-27)."""
    for act in (storage.get, storage.find, storage.delete, lambda key: storage.put(key, b""), lambda key: storage.copy("a", key)):
        with pytest.raises(ValueError, match="A key has"):
            act(key)


def test_odd_links(storage: FileStorage) -> None:
    """What can be no key has no address either."""
    with pytest.raises(ValueError, match="A key has"):
        storage.link("../a", seconds=1, content_type="a")


def test_a_put_is_whole_or_not_there(storage: FileStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A put that fails before it is flushed leaves what was there before, and nothing else; the error names no path (F-76)."""
    storage.put("a", b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreUnavailable) as failed:
            storage.put("a", b"after")

    expected = "The storage does not answer: No space left on device. Waiting does not mend that: tell whoever runs the server."
    assert (expected, {}) == (failed.value.detail, failed.value.headers)
    assert b"before" == storage.get("a")
    assert {"a", ".addresses.key"} == {path.name for path in (tmp_path / "storage").iterdir()}


def test_what_passes_is_to_be_tried_again(storage: FileStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of the moment, such as too many open files, says when to try again."""

    def busy(_: int) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "fsync", busy)
    with pytest.raises(StoreUnavailable) as failed:
        storage.put("a", b"")

    assert "The storage does not answer: Too many open files. Try again in a moment." == failed.value.detail
    assert {"Retry-After": "5"} == failed.value.headers


def test_a_copy_shares_the_bytes(storage: FileStorage, tmp_path: Path) -> None:
    """A copy is a second name of the file, as young as if it had been put now."""
    storage.put("from", BODY)
    hour_ago = time.time() - 3600
    os.utime(tmp_path / "storage" / "from", (hour_ago, hour_ago))
    assert storage.copy("from", "to")

    assert (tmp_path / "storage" / "from").samefile(tmp_path / "storage" / "to")
    assert [] == list(storage.older_than("to", time.time() - 60))


def test_a_copy_where_files_have_one_name(storage: FileStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot have two names its bytes are copied, and the key for addresses is kept all the same."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    storage.put("from", BODY)

    assert storage.copy("from", "to")
    assert (BODY, False) == (storage.get("to"), storage.copy("no", "to"))
    first, second = FileStorage(tmp_path / "new"), FileStorage(tmp_path / "new")
    assert first.check_link("a", dict(parse_qsl(urlsplit(second.link("a", seconds=9, content_type="b")).query)), time.time())


def test_what_a_crash_left_is_deleted(storage: FileStorage, tmp_path: Path) -> None:
    """Half a put is no key, and goes at a start an hour later; a put that another process is at stays."""
    left, young = (tmp_path / "storage" / f".part-{name}" for name in ("left", "young"))
    left.write_bytes(b"half")
    young.write_bytes(b"half")
    hours_ago = time.time() - 3700
    os.utime(left, (hours_ago, hours_ago))
    assert [] == list(storage.older_than("", time.time() + 60))

    FileStorage(tmp_path / "storage")
    assert (False, True) == (left.exists(), young.exists())


def test_keys_that_begin_alike_stand_together(storage: FileStorage, tmp_path: Path) -> None:
    """Keys of the same first two parts are one folder, so that looking for a job's results goes through few files."""
    keys = ["results/0a/0a1b/1", "results/0a/0a1b/2", "results/0a/0a2c/1", "results/0b/0b/1", "results/0a", "results"]
    for key in keys:
        storage.put(key, key.encode())
    soon = time.time() + 60

    assert {".addresses.key", "results~0a~", "results~0b~", "results~0a", "results"} == {p.name for p in (tmp_path / "storage").iterdir()}
    assert keys[:2] == sorted(storage.older_than("results/0a/0a1b/", soon))
    assert keys[:3] == sorted(storage.older_than("results/0a/", soon))
    assert sorted(keys[:5]) == sorted(storage.older_than("results/", soon))
    assert sorted(keys) == sorted(storage.older_than("results", soon))
    assert [] == [*storage.older_than("results/0c/", soon), *storage.older_than("payloads/", soon)]


def test_no_two_addresses_are_signed_alike(storage: FileStorage) -> None:
    """What is signed tells its parts apart, so that text cannot move from one to the next."""
    parts = [("uploads", "ab", {"c": "d"}), ("uploadsa", "b", {"c": "d"}), ("uploads", "a", {"bc": "d"}), ("uploads", "ab", {"cd": ""})]

    assert 4 == len({storage._signature(*part) for part in parts})


def test_those_who_begin_together_have_one_key(tmp_path: Path) -> None:
    """Whoever uses a new folder at the same moment as others signs with the same key; threads stand for processes here."""
    for attempt in range(20):
        start = threading.Barrier(6)

        def link(_: int, folder: Path = tmp_path / str(attempt), start: threading.Barrier = start) -> str:
            start.wait(10)
            return FileStorage(folder, clock=Clock()).link("a", seconds=1, content_type="b")

        with ThreadPoolExecutor(6) as threads:
            links = set(threads.map(link, range(6)))

        assert 1 == len(links), links
