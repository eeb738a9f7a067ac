"""What AWS's errors say: which are answers, which pass, and what may be told of them."""

from typing import Any, Final

# botocore/retries/standard.py holds every code that AWS throttles by.
THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_TRANSIENT = frozenset(
    {
        # Two conditional writes of one key at a time ("Conditional writes": 409).
        "ConditionalRequestConflict",
        "InternalError",
        "InternalServerError",
        "PriorRequestNotComplete",
        "RequestTimeout",
        "RequestTimeoutException",
        # Another transaction has one of the records, or this one, whose answer was lost, is still on its way (TransactWriteItems,
        # "Idempotency").
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
# What a caller asked for: the answer "no". A HEAD has no body, so its code is the status.
ANSWERS: Final = frozenset(
    {
        # All that HeadObject says of a version id that is none: its answers have no body.
        "400",
        "404",
        # A version that is the mark of a deletion (HeadObject, "Versioning").
        "405",
        "ConditionalCheckFailedException",
        "ExecutionAlreadyExists",
        "ExecutionDoesNotExist",
        "ExecutionNotRedrivable",
        "InvalidArn",
        "InvalidRange",
        "MethodNotAllowed",
        "NoSuchKey",
        "NoSuchUpload",
        "NoSuchVersion",
        # A key that is to be new and is not (If-None-Match), or is to be as it was (If-Match).
        "PreconditionFailed",
        "StateMachineDoesNotExist",
        "TransactionCanceledException",
    }
)
_REFUSED = "ConditionalCheckFailed"


def is_transient(error: Any, codes: frozenset[str]) -> bool:
    """Whether the same request may be answered a moment later."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or status == 429 or bool(codes & (THROTTLED | _TRANSIENT))


def codes_of(error: Any) -> frozenset[str]:
    """What an error says of its cause; for a transaction the causes of its parts, unless one is a condition's."""
    # SQS has "AWS.SimpleQueueService." before some.
    code = str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]
    if code != "TransactionCanceledException":
        return frozenset({code})
    parts = frozenset(str(reason.get("Code")) for reason in error.response.get("CancellationReasons", ())) - {"None"}
    return frozenset({code}) if _REFUSED in parts or not parts else parts


def told(cause: Exception | None) -> str:
    """A cause in words of ours: AWS's own message would name the account, the role and the table."""
    if cause is None:
        return "there was no time left"
    response = getattr(cause, "response", None)
    if not response:
        return type(cause).__name__
    return f"{', '.join(sorted(codes_of(cause)))} ({response.get('ResponseMetadata', {}).get('HTTPStatusCode', 0)})"
