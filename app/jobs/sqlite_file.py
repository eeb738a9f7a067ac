"""The file of :mod:`app.jobs.sqlite_backend`: its tables, its connections, and what its failures are called.

It asks for SQLite 3.24 (2018) and nothing newer: Python uses the system's, which is 3.34 where RHEL 9 is.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import SettingError
from app.storage.failures import failed

# How long a statement waits for another process's transaction; each of ours takes milliseconds.
_BUSY_S = 5.0
# How long for those of this process, of which each has its turn.
_TURN_S = 20.0
# One script for each schema, from the one before it; PRAGMA user_version counts those that a file has seen.
STEPS: tuple[str, ...] = (
    """
    CREATE TABLE records (
        kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, owner TEXT NOT NULL, mark TEXT NOT NULL,
        due REAL NOT NULL, document BLOB NOT NULL, PRIMARY KEY (kind, id)
    );
    CREATE INDEX jobs_by_owner ON records (owner, mark) WHERE kind = 'job';
    CREATE INDEX records_by_due ON records (due);
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, id TEXT NOT NULL, visible_at REAL NOT NULL,
        receives INTEGER NOT NULL DEFAULT 0, dead_at REAL
    );
    CREATE INDEX messages_by_time ON messages (queue, visible_at) WHERE dead_at IS NULL;
    CREATE INDEX messages_dead ON messages (queue, dead_at) WHERE dead_at IS NOT NULL;
    """,
)
_REASONS = {
    "SQLITE_BUSY": "another process holds it",
    "SQLITE_LOCKED": "another process holds it",
    "SQLITE_FULL": "its disk is full",
    "SQLITE_READONLY": "it may only be read",
    "SQLITE_CANTOPEN": "its file cannot be opened",
    "SQLITE_IOERR": "its disk failed",
    "SQLITE_CORRUPT": "its file is damaged",
    "SQLITE_NOTADB": "its file is damaged",
}
# Another moment may mend these, and what has no name.
_PASSING = {"SQLITE_BUSY", "SQLITE_LOCKED", ""}
_STORE = "The store of jobs"


class SqliteFile:
    """One file, write-ahead logged and flushed at every commit.

    :raises SettingError: for a file that a newer release or another program made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        with _answering():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Documents tell of callers; SQLite gives its other files the mode of this one.
            path.touch(mode=0o600)
        with self.transaction() as connection:
            _upgrade(connection)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are all made and durable at the end, or none of them after an exception or a ROLLBACK.

        :raises StoreUnavailable: for what SQLite says of the file: locked, full, read-only, damaged.
        """
        # SQLite's own wait is a sleep that whoever comes just then overtakes; threads of this process wait in turn.
        with self._turn(), self.connection() as connection:
            # Writers queue up at the start: one that reads first and writes then could be refused at once, whatever the time-out.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            if connection.in_transaction:
                connection.execute("COMMIT")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._writing.acquire(timeout=_TURN_S):
            raise failed(_STORE, "too many write to it at once", transient=True)
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses; it goes back if all went well, and is closed, with its transaction, if not.

        :raises StoreUnavailable: for what SQLite says of the file: locked, full, read-only, damaged.
        """
        with _answering():
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = _connected(self._path)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()


def _connected(path: Path) -> sqlite3.Connection:
    # SQLite serialises the calls of one connection; ours are used by one thread at a time, though not always the same.
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    deadline = time.monotonic() + _BUSY_S
    try:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                # FULL flushes the log at every commit, without which a 202 could be forgotten in a power cut (sqlite.org/pragma.html).
                connection.execute("PRAGMA synchronous = FULL")
                return connection
            except sqlite3.OperationalError as error:
                # The change to WAL asks for the whole file and does not wait for it where two processes make it at once.
                if not _name_of(error).startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
    except BaseException:
        connection.close()
        raise


def _upgrade(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        raise SettingError(
            f"the job store was written by a newer release (schema {version}; this release knows up to {len(STEPS)}): "
            "run that release, or choose another folder."
        )
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise SettingError("the file of the job store belongs to another program: choose another folder.")
    for step in STEPS[version:]:
        # Not executescript, which commits first.
        for statement in filter(str.strip, step.split(";")):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(STEPS)}")


def _name_of(error: sqlite3.Error) -> str:
    # An error of the binding itself has none.
    return getattr(error, "sqlite_errorname", "")


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        # Mistakes of ours, which trying again does not mend.
        raise
    except (sqlite3.DatabaseError, OSError) as error:
        name = _name_of(error) if isinstance(error, sqlite3.Error) else "SQLITE_CANTOPEN"
        # An extended code begins with its primary one (sqlite.org/rescode.html).
        code, reason = next((item for item in _REASONS.items() if name.startswith(item[0])), ("", "it failed"))
        raise failed(_STORE, reason, transient=code in _PASSING) from error
