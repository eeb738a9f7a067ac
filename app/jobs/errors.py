"""How jobs, uploads, webhooks and idempotency keys can fail; a branch of the tree in :mod:`app.errors`.

::

    Problem
    ├─ NotFound
    │  ├─ UnknownJob              404     unknown-job             there is none, or it is another caller's
    │  └─ UnknownUpload           404     unknown-upload
    ├─ JobUnfinished              409     job-unfinished          there is no result yet
    ├─ JobFinished                409     job-finished            there is nothing left to cancel
    ├─ JobCancelled               409     job-cancelled           there will be no result
    ├─ KeyInUse                   409     idempotency-key-in-use
    ├─ JobExpired                 410     job-expired             it was not answered in time
    ├─ Invalid
    │  ├─ KeyReused               422     idempotency-key-reused
    │  ├─ WebhookRefused          422     webhook-refused
    │  └─ UploadRefused           422     upload-refused          the bytes are not those that were announced
    └─ JobGivenUp                 500     job-given-up            every attempt ended without an answer
"""

from app.errors import Invalid, NotFound, Problem


class UnknownJob(NotFound):
    """There is no job of that id for this caller."""

    code, title = "unknown-job", "There is no such job"


class UnknownUpload(NotFound):
    """There is no upload of that id for this caller."""

    code, title = "unknown-upload", "There is no such upload"


class JobUnfinished(Problem):
    """The job has no result yet."""

    status, code, title, retryable = 409, "job-unfinished", "The job has not finished", True


class JobFinished(Problem):
    """The job ended before it could be cancelled."""

    status, code, title = 409, "job-finished", "The job has finished already"


class JobCancelled(Problem):
    """The job was cancelled, so it has no result."""

    status, code, title = 409, "job-cancelled", "The job was cancelled"


class KeyInUse(Problem):
    """A request under the same idempotency key is still running."""

    status, code, title, retryable = 409, "idempotency-key-in-use", "A request with this key is still running", True


class JobExpired(Problem):
    """The job was too old before anybody could answer it."""

    status, code, title = 410, "job-expired", "The job was not answered in time"


class KeyReused(Invalid):
    """The idempotency key was used for another request."""

    code, title = "idempotency-key-reused", "The key was used for another request"


class WebhookRefused(Invalid):
    """The address is not one that webhooks are sent to."""

    code, title = "webhook-refused", "The webhook's address is refused"


class UploadRefused(Invalid):
    """The bytes of an upload are not those that were announced."""

    code, title = "upload-refused", "The upload is refused"


class JobGivenUp(Problem):
    """Every attempt that is allowed ended without an answer."""

    status, code, title = 500, "job-given-up", "The job was given up"
