"""Bytes in a folder of this machine, for ``serve``: what :class:`app.storage.Storage` asks for, with addresses on the server itself.

A key's slashes are ``~`` here, which no key holds: ``results/0a/0a1b/1`` is the file ``0a1b~1`` of the folder ``results~0a~``. So a
key can begin another, as in S3, keys that begin alike stand together, and folders are few. Names with a leading dot are the
storage's own.
"""

import errno
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlencode

from app.errors import SettingError
from app.storage import Announced, Found, Linked, Upload
from app.storage.durable import flush_folder
from app.storage.failures import damaged, failed

# No part is empty or begins with a dot: no "..", and nothing of the folder's own.
_KEY = re.compile(r"[0-9a-zA-Z_-][0-9a-zA-Z_.-]*(?:/[0-9a-zA-Z_-][0-9a-zA-Z_.-]*)*")
# A file name has at most 255 bytes on Linux and macOS.
_LONGEST_KEY = 240
_SECRET_BYTES = 32
# A put takes seconds; what is left of one after this is a crash's.
_ABANDONED_S = 3600.0
_PART = ".part-"
# Another moment may mend these; a disk that is full, read-only or broken stays so.
_PASSING = {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}


class FileStorage:
    """Bytes by key in one folder.

    :param base_url: what stands before ``/uploads/{name}`` and ``/downloads/{name}`` in addresses; no slash at its end.
    :param clock: seconds since the epoch, for the end of addresses.
    :raises SettingError: for a folder whose key for addresses is damaged.
    """

    def __init__(self, folder: Path, *, base_url: str = "", clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._base_url = base_url
        self._clock = clock
        with _answering():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._secret = self._kept_secret()
            self._forget_parts()

    def put(self, key: str, body: bytes) -> str:
        """Keep bytes: whole under another name first, then under their own, flushed both times."""
        target = self._path(key)
        with _answering(), self._part() as part:
            _write(part, body)
            self._place(part, target)
        return hashlib.sha256(body).hexdigest()

    def get(self, key: str, digest: str = "") -> bytes | None:
        """The bytes, compared with their digest where one is given."""
        path = self._path(key)
        with _answering():
            try:
                body = path.read_bytes()
            except FileNotFoundError:
                return None
        if digest and hashlib.sha256(body).hexdigest() != digest:
            raise damaged()
        return body

    def find(self, key: str) -> Found | None:
        """Size and SHA-256; the file is read for it, as nothing else knows its digest for certain."""
        path = self._path(key)
        with _answering():
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    return Found(file.tell(), digest)
            except FileNotFoundError:
                return None

    def copy(self, source: str, target: str) -> bool:
        """Keep the same bytes under another key, as a second name of the file where the file system has that."""
        path, goal = self._path(source), self._path(target)
        with _answering(), self._part() as part:
            try:
                os.link(path, part)
            except FileNotFoundError:
                return False
            except OSError:
                body = self.get(source)
                return body is not None and bool(self.put(target, body))
            # Both names have one time: the copy was put now, and that its source looks younger only lets it live longer.
            os.utime(part)
            self._place(part, goal)
        return True

    def delete(self, key: str) -> None:
        """Forget the bytes."""
        path = self._path(key)
        with _answering(), suppress(FileNotFoundError):
            path.unlink()
            flush_folder(path.parent)

    def link(self, key: str, *, seconds: int, content_type: str) -> str:
        """An address on the server itself; :meth:`check_link` takes it."""
        return self._address("downloads", key, {"expires": str(int(self._clock()) + seconds), "type": content_type})

    def upload(self, key: str, *, size: int, digest: str, seconds: int) -> Upload:
        """A PUT to the server itself; :meth:`check_upload` takes its address."""
        claims = {"expires": str(int(self._clock()) + seconds), "size": str(size), "digest": digest}
        return Upload("PUT", self._address("uploads", key, claims), {})

    def check_link(self, name: str, query: Mapping[str, str], now: float) -> Linked | None:
        """What may be read at ``/downloads/{name}``; None where the address is not one of ours or its time is over."""
        claims = self._checked("downloads", name, query, now, ("expires", "type"))
        return Linked(name.replace("~", "/"), claims["type"]) if claims else None

    def check_upload(self, name: str, query: Mapping[str, str], now: float) -> Announced | None:
        """What may be put at ``/uploads/{name}``; None where the address is not one of ours or its time is over."""
        claims = self._checked("uploads", name, query, now, ("expires", "size", "digest"))
        return Announced(name.replace("~", "/"), int(claims["size"]), claims["digest"]) if claims else None

    def older_than(self, prefix: str, before: float) -> Iterator[str]:
        """Keys by the time of their files; only folders that can hold such keys are looked through."""
        start = prefix.replace("/", "~")
        with _answering():
            for folder in [entry.name for entry in os.scandir(self._folder) if entry.is_dir()]:
                if folder.startswith(start) or start.startswith(folder):
                    yield from self._older(folder, start, before)
            yield from self._older("", start, before)

    def _older(self, folder: str, start: str, before: float) -> Iterator[str]:
        with os.scandir(self._folder / folder) as entries:
            for entry in entries:
                name = folder + entry.name
                if name.startswith(start) and not name.startswith(".") and not name.endswith("~"):
                    # Another may delete it meanwhile.
                    with suppress(FileNotFoundError):
                        if entry.stat(follow_symlinks=False).st_mtime < before:
                            yield name.replace("~", "/")

    def _path(self, key: str) -> Path:
        name = _name(key)
        parts = name.split("~", 2)
        return self._folder / f"{parts[0]}~{parts[1]}~" / parts[2] if len(parts) == 3 else self._folder / name

    def _place(self, part: Path, target: Path) -> None:
        if not target.parent.exists():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            flush_folder(self._folder)
        part.replace(target)
        flush_folder(target.parent)

    @contextmanager
    def _part(self) -> Iterator[Path]:
        part = self._folder / f"{_PART}{secrets.token_hex(8)}"
        try:
            yield part
        finally:
            # Renaming one name of a file over another of the same file does nothing (rename(2)), so it may still be there.
            part.unlink(missing_ok=True)

    def _forget_parts(self) -> None:
        for part in self._folder.glob(f"{_PART}*"):
            # Another process may be at the same. Files have the system's time, whatever the clock of the addresses.
            with suppress(FileNotFoundError):
                if part.stat().st_mtime < time.time() - _ABANDONED_S:
                    part.unlink()

    def _kept_secret(self) -> bytes:
        path = self._folder / ".addresses.key"
        if not path.exists():
            with self._part() as part:
                _write(part, secrets.token_bytes(_SECRET_BYTES))
                try:
                    os.link(part, path)
                except FileExistsError:
                    # Another process was faster, and the key is its.
                    pass
                except OSError:
                    # Some mounts have no second names.
                    part.rename(path)
            flush_folder(self._folder)
        secret = path.read_bytes()
        if len(secret) != _SECRET_BYTES:
            raise SettingError("the key for addresses in the storage's folder is damaged: delete .addresses.key there.")
        return secret

    def _address(self, way: str, key: str, claims: dict[str, str]) -> str:
        name = _name(key)
        query = {**claims, "signature": self._signature(way, name, claims)}
        return f"{self._base_url}/{way}/{name}?{urlencode(query, quote_via=quote)}"

    def _checked(self, way: str, name: str, query: Mapping[str, str], now: float, names: tuple[str, ...]) -> Mapping[str, str] | None:
        if set(query) != {*names, "signature"}:
            return None
        claims = {claim: query[claim] for claim in names}
        right = hmac.compare_digest(self._signature(way, name, claims).encode(), query["signature"].encode(errors="replace"))
        # The signature covers the time, so that it is a number where it is right.
        return claims if right and now < int(claims["expires"]) else None

    def _signature(self, way: str, name: str, claims: Mapping[str, str]) -> str:
        # Each part with its length, so that no two addresses are signed as the same text.
        signed = "".join(f"{len(part)}:{part}" for part in (way, name, *(text for item in claims.items() for text in item)))
        return hmac.new(self._secret, signed.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def _name(key: str) -> str:
    if len(key) > _LONGEST_KEY or not _KEY.fullmatch(key):
        raise ValueError("A key has letters, digits and -_. in parts between single slashes, and at most 240 characters.")
    return key.replace("/", "~")


def _write(path: Path, body: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - with a mode
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failed("The storage", error.strerror or "it failed", transient=error.errno in _PASSING) from error
