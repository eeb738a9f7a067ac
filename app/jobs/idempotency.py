"""``Idempotency-Key``: the same request is answered once, and its answer repeated (draft-ietf-httpapi-idempotency-key-header-07)."""

import secrets
from typing import NamedTuple

from app.errors import StoreUnavailable
from app.jobs.backend import Change
from app.jobs.errors import KeyInUse, KeyReused
from app.jobs.job import Payload
from app.jobs.reservation import Reservation, is_free, reservation_id, reserve
from app.jobs.stores import Stores

_RETRY_AFTER_S = 1
_MOST_ROUNDS = 10


class Answer(NamedTuple):
    """A synchronous answer, kept to be repeated."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...]


class Key(NamedTuple):
    """A caller's key, and the SHA-256 of what was asked under it."""

    owner: str
    key: str
    fingerprint: str


class Idempotency:
    """The keys of all callers, each kept for 24 h."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def look_up(self, key: Key) -> Reservation | None:
        """What is kept under a key, be it running or done; None where it may be taken.

        :raises KeyReused: when it was used for another request.
        """
        kept = self._stores.backend.read(Reservation, reservation_id(key.owner, key.key))
        if kept is None or is_free(kept, self._stores.clock()):
            return None
        if kept.fingerprint != key.fingerprint:
            raise KeyReused(
                "This Idempotency-Key was used for another request in the last 24 h (another path, query, body, or a header field such as Accept or Webhook-Url). "
                "Send the first request again to read its answer, or make a new key."
            )
        return kept

    def change(self, key: Key, *, lease_s: float = 0.0, job_id: str = "") -> Change:
        """The record that takes a key, in place of one whose time is over.

        :raises KeyInUse: when somebody has taken it meanwhile.
        """
        now = self._stores.clock()
        old = self._stores.backend.read(Reservation, reservation_id(key.owner, key.key))
        if old is not None and not is_free(old, now):
            raise in_use()
        new = reserve(key.owner, key.key, key.fingerprint, now, lease_s=lease_s, job_id=job_id)
        return Change(old, new if old is None else new._replace(revision=old.revision))

    def begin(self, key: Key, lease_s: float) -> Reservation:
        """Take a key for a synchronous call.

        :raises KeyInUse: when somebody else has it.
        """
        change = self.change(key, lease_s=lease_s)
        assert isinstance(change.new, Reservation)
        if not self._stores.backend.write([change]):
            raise in_use()
        return change.new._replace(revision=change.new.revision + 1)

    def finish(self, mine: Reservation, answer: Answer) -> None:
        """Keep the answer of a synchronous call. That of one whose lease has ended is not kept, and nothing is raised:
        the caller gets his answer, and a repetition is answered anew.
        """
        key = f"answers/{mine.id[:2]}/{mine.id}/{secrets.token_hex(8)}"
        try:
            digest = self._stores.storage.put(key, answer.body)
            kept = Payload(key, len(answer.body), digest, answer.content_type, answer.headers)
            if not self._stores.backend.write([Change(mine, mine._replace(status=answer.status, answer=kept, lease_until=0.0))]):
                self._stores.storage.delete(key)
        except StoreUnavailable as error:
            self._stores.note("an answer could not be kept for its Idempotency-Key", error)

    def give_up(self, mine: Reservation) -> None:
        """Free the key of a call whose failure is not one to repeat."""
        try:
            self._stores.backend.write([Change(mine, None)])
        except StoreUnavailable as error:
            self._stores.note("an Idempotency-Key stays taken until its lease ends", error)

    def repeat(self, kept: Reservation) -> Answer:
        """The answer of a synchronous call that is done.

        :raises StoreUnavailable: where the bytes are not those that were kept.
        """
        assert kept.answer is not None
        body = self._stores.storage.get(kept.answer.key, kept.answer.digest)
        if body is None:
            raise StoreUnavailable("The answer is not where it was kept: send the request under a new Idempotency-Key.", transient=False)
        return Answer(kept.status, body, kept.answer.content_type, kept.answer.headers)


def in_use() -> KeyInUse:
    """The error for a key whose first request is still running."""
    return KeyInUse(
        "A request with this Idempotency-Key is still running; its answer can be read with the same request in a moment.",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )
