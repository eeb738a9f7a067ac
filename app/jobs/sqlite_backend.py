"""Jobs of one machine in an SQLite file, which processes may share: what :class:`app.jobs.backend.Backend` asks for, and its queues.

On Lambda there is no such file: ``/tmp`` belongs to one environment.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from app.jobs.backend import Change, Queue, Record, RecordType, mark_of
from app.jobs.job import Job
from app.jobs.records import from_document, kind_name, readable, to_document
from app.jobs.sqlite_file import SqliteFile

# SQS keeps what is in a dead-letter queue for at most 14 days.
_DEAD_KEPT_S = 14 * 86_400.0
_VISIBLE = "queue = ? AND visible_at <= ? AND dead_at IS NULL"
_TAKEN = "queue = ? AND number = ? AND receives = ?"


class Message(NamedTuple):
    """A message in the hands of a worker. ``receives`` counts how often it was given out, this time included."""

    id: str
    receipt: str
    receives: int


class SqliteBackend:
    """Records and queues in one file.

    :param max_receives: a message that was given out this often and comes again is dead.
    :raises SettingError: for a file that a newer release or another program made.
    """

    def __init__(self, path: Path, *, max_receives: int = 5, clock: Callable[[], float] = time.time) -> None:
        self._file = SqliteFile(path)
        self._max_receives = max_receives
        self._clock = clock
        self._heard: set[Queue] = set()
        self._sent = threading.Condition()

    def write(self, changes: Sequence[Change]) -> bool:
        """Make all changes or none, in one transaction."""
        statements = [_statement(change) for change in changes]
        with self._file.transaction() as connection:
            for sql, values in statements:
                if connection.execute(sql, values).rowcount != 1:
                    connection.execute("ROLLBACK")
                    return False
        return True

    def read(self, kind: type[RecordType], record_id: str) -> RecordType | None:
        """A record as the last write left it."""
        sql = "SELECT document FROM records WHERE kind = ? AND id = ?"
        with self._file.connection() as connection:
            row = connection.execute(sql, (kind_name(kind), record_id)).fetchone()
        return None if row is None else from_document(kind, row[0])

    def owned(self, owner: str, limit: int, before: str = "") -> list[Job]:
        """A caller's jobs after the one of the mark ``before``, newest first; one that cannot be read is left out."""
        sql = "SELECT kind, document FROM records WHERE kind = 'job' AND owner = ? AND mark < ? ORDER BY mark DESC"
        # Every mark begins with a digit.
        found = self._records(sql, (owner, before or "~"), limit)
        return [job for job in found if isinstance(job, Job)]

    def due(self, now: float, limit: int) -> list[Record]:
        """Records whose time has come, the oldest first; one that cannot be read is left out, so that none waits for it."""
        return self._records("SELECT kind, document FROM records WHERE due <= ? ORDER BY due", (now,), limit)

    def send(self, queue: Queue, ids: Sequence[str], delay_s: float = 0.0) -> None:
        """Put a message for each id into a queue and wake who waits for it here; other processes look by themselves."""
        visible_at = self._clock() + delay_s
        self._each("INSERT INTO messages (queue, id, visible_at) VALUES (?, ?, ?)", [(queue, name, visible_at) for name in ids])
        self.wake(queue)

    def receive(self, queue: Queue, now: float, *, limit: int, visibility_s: float) -> list[Message]:
        """Take messages out of a queue, the oldest first; those that are not acknowledged within ``visibility_s`` come again."""
        with self._file.connection() as connection:
            # A look takes no lock, so that an idle worker is in nobody's way.
            look = f"SELECT 1 FROM messages WHERE {_VISIBLE} LIMIT 1"  # noqa: S608 - no value
            if connection.execute(look, (queue, now)).fetchone() is None:
                return []
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM messages WHERE queue = ? AND dead_at < ?", (queue, now - _DEAD_KEPT_S))
            dead = f"UPDATE messages SET dead_at = ? WHERE {_VISIBLE} AND receives >= ?"  # noqa: S608 - no value
            connection.execute(dead, (now, queue, now, self._max_receives))
            oldest = f"SELECT number, id, receives + 1 FROM messages WHERE {_VISIBLE} ORDER BY visible_at, number LIMIT ?"  # noqa: S608
            rows = connection.execute(oldest, (queue, now, limit)).fetchall()
            take = "UPDATE messages SET receives = ?, visible_at = ? WHERE number = ?"
            connection.executemany(take, [(receives, now + visibility_s, number) for number, _, receives in rows])
        return [Message(name, f"{number}-{receives}", receives) for number, name, receives in rows]

    def acknowledge(self, queue: Queue, receipts: Sequence[str]) -> None:
        """Forget messages that were worked off; one that was given out again since stays, as it is in other hands."""
        self._each(f"DELETE FROM messages WHERE {_TAKEN}", [(queue, *_numbers(receipt)) for receipt in receipts])  # noqa: S608 - no value

    def postpone(self, queue: Queue, receipts: Sequence[str], visible_at: float) -> None:
        """Give messages out again at this time instead of their own; one that was given out again since is left alone."""
        sql = f"UPDATE messages SET visible_at = ? WHERE {_TAKEN}"  # noqa: S608 - no value
        self._each(sql, [(visible_at, queue, *_numbers(receipt)) for receipt in receipts])

    def wait(self, queue: Queue, timeout_s: float) -> bool:
        """Wait until this process sends something, and not longer; True where it has since the last wait for this queue."""
        with self._sent:
            heard = self._sent.wait_for(lambda: queue in self._heard, timeout_s)
            self._heard.discard(queue)
            return heard

    def wake(self, queue: Queue) -> None:
        """End a wait, or the next one."""
        with self._sent:
            self._heard.add(queue)
            self._sent.notify_all()

    def dead(self, queue: Queue, limit: int) -> list[str]:
        """Ids of messages that came too often, the latest first; they are kept for 14 days."""
        sql = "SELECT id FROM messages WHERE queue = ? AND dead_at IS NOT NULL ORDER BY dead_at DESC, number DESC LIMIT ?"
        with self._file.connection() as connection:
            return [name for (name,) in connection.execute(sql, (queue, limit)).fetchall()]

    def close(self) -> None:
        """Close the file where nobody uses it just then."""
        self._file.close()

    def _records(self, sql: str, values: tuple[Any, ...], limit: int) -> list[Record]:
        # Closed, as a statement that was not read to its end keeps its snapshot, and the log from being shortened.
        with self._file.connection() as connection, closing(connection.execute(sql, values)) as rows:
            return list(islice(readable(rows), limit))

    def _each(self, sql: str, values: Sequence[tuple[Any, ...]]) -> None:
        if values:
            with self._file.transaction() as connection:
                connection.executemany(sql, values)


def _statement(change: Change) -> tuple[str, tuple[Any, ...]]:
    old, new = change
    if new is None:
        if old is None:
            raise ValueError("A change needs a record, old or new.")
        return "DELETE FROM records WHERE kind = ? AND id = ? AND revision = ?", (kind_name(type(old)), old.id, old.revision)
    revision = (old or new).revision + 1
    mark = mark_of(new) if isinstance(new, Job) else ""
    values = (revision, new.owner, mark, new.due, to_document(new._replace(revision=revision)), kind_name(type(new)), new.id)
    if old is None:
        sql = "INSERT INTO records (revision, owner, mark, due, document, kind, id) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        return sql, values
    sql = "UPDATE records SET revision = ?, owner = ?, mark = ?, due = ?, document = ? WHERE kind = ? AND id = ? AND revision = ?"
    return sql, (*values, old.revision)


def _numbers(receipt: str) -> tuple[int, int]:
    number, _, receives = receipt.partition("-")
    return int(number), int(receives)
