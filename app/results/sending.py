"""Many results in few requests: batches by count and size, what failed of them sent again, and no neighbour hurt by any."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from typing import Any, NamedTuple

from app.errors import InternalError, Problem, ResultTooLarge, StoreUnavailable
from app.results import Result
from app.storage.aws_clients import attempts, unavailable, within
from app.storage.aws_errors import codes_of, is_transient, told

# Fewer than the ten connections that a client of botocore keeps.
_THREADS = 8
# Where AWS refuses a whole batch for what one entry of it is.
_OF_AN_ENTRY = frozenset(
    {
        "413",
        "BatchRequestTooLong",
        "InvalidArgumentException",
        "InvalidAttributeValue",
        "InvalidMessageContents",
        "InvalidParameterValue",
        "RequestEntityTooLargeException",
        "SerializationException",
        "ValidationError",
        "ValidationException",
    }
)
_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A result as a service takes it. ``place`` is the result's among those that were given, ``size`` what the service counts."""

    place: int
    size: int
    content: dict[str, Any]


class Limits(NamedTuple):
    """What a service takes in one request: entries, and their sizes together."""

    entries: int
    size: int


class Refusal(NamedTuple):
    """Why a service did not take one entry of a batch; ``passes`` says that it may take it a moment later."""

    code: str
    passes: bool


class Service(NamedTuple):
    """How a service is sent a batch. ``send`` answers for each entry None or why not, and raises StoreUnavailable for the whole."""

    name: str
    operation: str
    limits: Limits
    send: Callable[[Sequence[Entry]], Sequence[Refusal | None]]


def built(results: Sequence[Result], build: Callable[[int, Result], Entry]) -> tuple[dict[int, Entry], dict[int, Problem]]:
    """Entries and problems by place: one that cannot be written is its own problem, and nobody else's."""
    entries: dict[int, Entry] = {}
    problems: dict[int, Problem] = {}
    for place, result in enumerate(results):
        try:
            entries[place] = build(place, result)
        except Problem as problem:
            problems[place] = problem
        except Exception as error:  # whatever is wrong with this one, the others are not to pay for it
            problems[place] = InternalError("The result could not be written for the place it goes to; the log tells more.")
            problems[place].__cause__ = error
            _log.warning("a result could not be written: %s", type(error).__name__)
    return entries, problems


def kept(service: Service, results: Sequence[Result], build: Callable[[int, Result], Entry]) -> list[Problem | None]:
    """Write and send results that have no order; see :meth:`app.results.Sink.put`."""
    entries, problems = built(results, build)
    with within():
        problems |= send(service, entries.values())
    return [problems.get(place) for place in range(len(results))]


def too_large(size: int, limit: int, place: str) -> ResultTooLarge:
    """The error for one result that its place does not take."""
    return ResultTooLarge(
        f"The result has {size} bytes as it would be sent; {place} takes at most {limit}. "
        "Ask for fewer rows or outputs at a time, or have results written under an S3 prefix."
    )


def portions(entries: Iterable[Entry], limits: Limits) -> Iterator[list[Entry]]:
    """Entries in their order, in batches of at most so many and so large; one that is larger by itself is alone."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == limits.entries or size + entry.size > limits.size):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def send(service: Service, entries: Iterable[Entry]) -> dict[int, Problem]:
    """Send entries in batches, several at a time, until the deadline of :func:`app.storage.aws_clients.within`.

    :returns: by place, for those that are not known to be kept.
    """
    batches = list(portions(entries, service.limits))
    final: list[Problem] = []
    problems: dict[int, Problem] = {}
    if len(batches) < 2:
        for batch in batches:
            problems |= _send_batch(service, batch, final)
        return problems
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(_THREADS, len(batches))) as threads:
        # The deadline is of this thread's context.
        running = [threads.submit(copy_context().run, _send_batch, service, batch, final) for batch in batches]
        for sent in running:
            problems |= sent.result()
    return problems


def _send_batch(service: Service, batch: Sequence[Entry], final: list[Problem]) -> dict[int, Problem]:
    """:param final: an error that every other batch would have as well, such as a right that is missing."""
    problems: dict[int, Problem] = {}
    left = list(batch)
    for _ in attempts():
        if final:
            return problems | dict.fromkeys((entry.place for entry in left), final[0])
        try:
            refusals = service.send(left)
        except Exception as error:  # nothing that a service does may end the other batches
            codes, passes = _cause(error)
            if len(left) > 1 and codes & _OF_AN_ENTRY:
                half = len(left) // 2
                return problems | _send_batch(service, left[:half], final) | _send_batch(service, left[half:], final)
            problem = error if isinstance(error, StoreUnavailable) else _unknown(service, error)
            if codes and not passes and not codes & _OF_AN_ENTRY:
                final.append(problem)
            return problems | dict.fromkeys((entry.place for entry in left), problem)
        again = []
        for entry, refusal in zip(left, refusals, strict=True):
            if refusal and refusal.passes:
                again.append(entry)
            elif refusal:
                problems[entry.place] = _refused(service, refusal.code)
        if not again:
            return problems
        left = again
    return problems | {entry.place: unavailable(service.name, service.operation) for entry in left}


def _cause(error: Exception) -> tuple[frozenset[str], bool]:
    """The codes of AWS's error, none where it gave no answer, and whether it passes."""
    cause = error.__cause__ or error
    if not getattr(cause, "response", None):
        return frozenset(), True
    codes = codes_of(cause)
    return codes, is_transient(cause, codes)


def _unknown(service: Service, error: Exception) -> Problem:
    problem = unavailable(service.name, service.operation)
    problem.__cause__ = error
    _log.warning("%s %s failed: %s", service.name, service.operation, told(error))
    return problem


def _refused(service: Service, code: str) -> StoreUnavailable:
    known = "".join(character for character in code.rpartition(".")[2] if character.isalnum())
    _log.warning("%s %s refused an entry: %s", service.name, service.operation, known)
    return StoreUnavailable(f"The place of the results refused this one ({known or 'without a code'}); it is not kept.")
