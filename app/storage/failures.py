"""What callers are told of stores that fail: what it was, and whether waiting helps."""

from app.errors import StoreUnavailable


def failed(store: str, reason: str, *, transient: bool) -> StoreUnavailable:
    """The error for a store on this machine's disk; one that is not ``transient`` waits for whoever runs the server."""
    then = "Try again in a moment." if transient else "Waiting does not mend that: tell whoever runs the server."
    return StoreUnavailable(f"{store} does not answer: {reason}. {then}", transient=transient)


def damaged() -> StoreUnavailable:
    """The error for bytes that have another digest than what was put there."""
    return StoreUnavailable(
        "Bytes that were kept are not those that were put there: the storage is damaged. "
        "Asking again does not help; send the request or the upload anew, under a new Idempotency-Key.",
        transient=False,
    )
