"""Where jobs are kept, and what everybody who works with them does there: send a message, end a job, read what was asked."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from app.errors import Problem
from app.jobs.backend import Backend, Queue
from app.jobs.job import Job, Policy
from app.jobs.notices import delivery_id, ending
from app.prediction import PredictionRequest
from app.storage import Storage


class Stores(NamedTuple):
    """What everybody who works with jobs works with. ``clock`` gives seconds since the epoch."""

    backend: Backend
    storage: Storage
    policy: Policy
    clock: Callable[[], float] = time.time
    # told of what goes wrong beside the point, such as a message that is left to the sweeper
    note: Callable[[str, Exception], None] = lambda message, error: None  # noqa: ARG005
    # told of each job that has ended, once it is kept
    ended: Callable[[Job], None] = lambda job: None  # noqa: ARG005


def send_soon(stores: Stores, queue: Queue, record_id: str, delay_s: float = 0.0) -> None:
    """Tell a worker of a record that is kept. Where that fails the sweeper does it, so nothing is raised."""
    try:
        stores.backend.send(queue, [record_id], delay_s)
    except Problem as error:
        stores.note("a message is left to the sweeper", error)


def end(stores: Stores, old: Job, new: Job | None) -> bool:
    """Keep the end of a job, and have its webhook sent.

    :param new: None, as the steps of :mod:`app.jobs.job` answer, where there is nothing to end.
    :returns: False where nothing was kept, as the job is no longer as it is held here.
    :raises StoreUnavailable: where it is not known to be kept.
    """
    if new is None or not stores.backend.write(ending(old, new, stores.policy)):
        return False
    stores.ended(new)
    if new.webhook is not None:
        send_soon(stores, "webhooks", delivery_id(new.id))
    return True


def stored_request(job: Job, body: bytes, deadline: float | None) -> PredictionRequest:
    """What was asked, as it was asked."""
    kept: dict[str, Any] = {name: value for name, value in job.request.items() if name in PredictionRequest._fields}
    kept["outputs"] = tuple(kept.get("outputs", ()))
    kept["echo"] = tuple((name, value) for name, value in kept.get("echo", ()))
    return PredictionRequest(**{**kept, "body": body, "deadline": deadline})
