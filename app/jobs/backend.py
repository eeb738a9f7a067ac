"""Where jobs are kept and how workers hear of them. Two stores do this: SQLite for one machine, AWS for Lambda."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, TypeVar

from app.jobs.delivery import Delivery
from app.jobs.job import Job
from app.jobs.reservation import Reservation

Record = Job | Delivery | Reservation
RecordType = TypeVar("RecordType", Job, Delivery, Reservation)
Queue = Literal["jobs", "webhooks"]


class Change(NamedTuple):
    """A record that is to replace another. ``old`` None: there must be none yet; ``new`` None: it is deleted.

    The change holds only where the kept record still has the revision of ``old``; ``new`` is kept under the next one.
    """

    old: Record | None
    new: Record | None


class Backend(Protocol):
    """Records that change by comparison only, and queues of their ids.

    Every method may raise :class:`app.errors.StoreUnavailable`. It tells that nothing is known of the outcome: a write that
    raised may have been made, and making it again is then answered True.
    """

    def write(self, changes: Sequence[Change]) -> bool:
        """Make all changes or none of them; they are durable when this returns.

        :returns: False where a record was not what its change says. A change that this same call has made before, whose
            answer was lost, counts as made.
        """

    def read(self, kind: type[RecordType], record_id: str) -> RecordType | None:
        """A record as the last write left it."""

    def owned(self, owner: str, limit: int, before: str = "") -> list[Job]:
        """A caller's jobs, newest first, from the one after ``before`` (a mark as :func:`mark_of` makes it) on.

        A job that was written in the last moments may be missing.
        """

    def due(self, now: float, limit: int) -> list[Record]:
        """Records whose ``due`` has come, the oldest first; one that was written in the last moments may be missing."""

    def send(self, queue: Queue, ids: Sequence[str], delay_s: float = 0.0) -> None:
        """Tell a worker of records, not before ``delay_s`` seconds (at most 900); it may hear of one twice, and in any order."""

    def dead(self, queue: Queue, limit: int) -> list[str]:
        """Ids whose messages nobody could work off; the messages stay where they are."""


def mark_of(job: Job) -> str:
    """Where a job stands in the order of its caller's jobs."""
    return f"{job.created:017.6f}-{job.id}"
