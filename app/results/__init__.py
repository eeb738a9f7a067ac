"""Where the answers of events go: a queue, an event bus, a delivery stream, a bucket. A file a place; :mod:`app.results.places` tells them apart."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from app.errors import Problem


class Result(NamedTuple):
    """One record's answer, on its way to whoever waits for it.

    ``id`` names the record, and is the same each time the record is delivered, so that a receiver can pass over what it has seen.
    ``body`` is the answer as the dialect writes it, or the error object. ``correlation_id`` is what the sender called the record;
    empty where it gave no name. ``group`` is the message group of a FIFO queue, within which results keep their order.
    """

    id: str
    source: str
    body: bytes
    content_type: str
    model: str = ""
    version: str = ""
    digest: str = ""
    problem: Problem | None = None
    correlation_id: str = ""
    group: str = ""


class Sink(Protocol):
    """A place that takes results."""

    def put(self, results: Sequence[Result]) -> list[Problem | None]:
        """Keep results, durably.

        The same result may be put again after a crash: it is then kept under the same name, or told again under the same id.

        :returns: for each result None, or why it is not known to be kept. Nothing is raised, and one that is refused
            (too large, say) never hurts its neighbours.
        """
