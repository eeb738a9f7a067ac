"""What batches raise. Step Functions takes whatever is returned for a success, and knows what is raised by its class's name:
the machine's Retry names :class:`BatchInterrupted`.
"""

from app.errors import Problem


class BatchInterrupted(Exception):
    """The batch is not done, and may be when it is tried again."""


class BatchRefused(Exception):
    """The batch cannot be done, however often it is tried."""


class TooManyFailedRows(Exception):
    """All is done that can be, and more rows are bad or missing than the run tolerates."""


class InputChanged(Exception):
    """The input is not what it was when the run was started: its rows may be of two files."""


def raised(problem: Problem) -> Exception:
    """What a problem of all rows is to the machine; its detail names columns, models and places."""
    kind = BatchInterrupted if problem.retryable else BatchRefused
    return kind(f"{problem.code}: {problem.detail}")
