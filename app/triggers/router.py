"""Which trigger an event is for. An event that nobody knows raises: falling through to "success" would lose it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from app.errors import UnknownEvent

# (recognises, handle): the first row that recognises the event answers it.
Trigger = tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]


class EventRouter:
    """Gives each event to the one trigger that recognises it."""

    def __init__(self, triggers: Sequence[Trigger], others: Callable[[], Sequence[Trigger]]) -> None:
        """:param others: makes the rest, at the first event that none of ``triggers`` recognises: an API's function never pays for them."""
        self._triggers = tuple(triggers)
        self._others = functools.cache(others)

    def __call__(self, event: Any, context: Any) -> Any:
        """Answer an event.

        :raises UnknownEvent: naming the event's keys, never its values.
        """
        for triggers in (lambda: self._triggers, self._others):
            for recognises, handle in triggers():
                if recognises(event):
                    return handle(event, context)
        keys = ", ".join(sorted(str(key)[:40] for key in event)[:12]) if isinstance(event, dict) else type(event).__name__
        raise UnknownEvent(
            f"No trigger recognises this event (it has: {keys or 'nothing'}). A direct invoke needs 'inputs' or 'instances'; "
            "events/ holds a sample of every event that is known. Those of jobs need JOBS=aws, of S3 INBOX_BUCKET, "
            "and a schedule's batch BATCH_STATE_MACHINE_ARN."
        )
