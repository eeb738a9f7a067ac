"""The two files that come out of one: predictions, and errors where there are any. Neither is there before both are whole."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import NamedTuple, Self

import orjson

from app.batches import Output, Place, answers
from app.batches.rows import Piece
from app.batches.tally import Tally
from app.tensors import Signature

_ERRORS = "errors.jsonl"


class Target(NamedTuple):
    """The folder that files of one name each are written to.

    :param replace: they take the places of those that are there.
    """

    place: Place
    folder: str
    replace: bool

    def create(self, name: str, content_type: str) -> AbstractContextManager[Output]:
        """See :meth:`app.batches.Place.create`."""
        return self.place.create(f"{self.folder}/{name}", content_type, replace=self.replace)


class Writing:
    """Open outputs; leaving the context without :meth:`commit` leaves nothing behind."""

    def __init__(self, to: Target, signature: Signature, tally: Tally, offer: str, *, outputs: Sequence[str], keep_failed: bool) -> None:
        self.bytes = self.errors_bytes = 0
        # The names of what is there; None for a file that would be empty.
        self.predictions: str | None = None
        self.errors: str | None = None
        self._to = to
        self._tally, self._keep_failed = tally, keep_failed
        self._stack = ExitStack()
        self._output: Output | None = None
        self._errors: Output | None = None
        self._assembler = answers.assembler_of(offer, self._write, signature, outputs)
        self.accept = self._assembler.accept

    def __enter__(self) -> Self:
        self._stack.callback(self._assembler.close)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def put(self, piece: Piece) -> None:
        """Write the next rows."""
        with self._tally.timing("write"):
            if not piece.failed:
                self._assembler.add(piece.body, piece.rows)
                return
            if self._keep_failed:
                self._assembler.skip(piece.rows)
            line = orjson.dumps(piece.failed._asdict()) + b"\n"
            self.errors_bytes += len(line)
            if self._errors is None:
                self._errors = self._created(_ERRORS, "application/jsonl")
            self._errors.write(line)

    def commit(self, example: Callable[[], bytes | None]) -> None:
        """Have the files there. What was there before, of a try that did not come to its end, holds the same.

        :param example: see :meth:`app.batches.Assembler.blank`.
        """
        has_answers = self._tally.failures < self._tally.rows
        there = has_answers or (self._keep_failed and self._assembler.blank(example))
        with self._tally.timing("write"):
            if there:
                self._assembler.finish()
                (self._output or self._begun()).commit()
                self.predictions = f"{self._to.folder}/predictions{answers.OFFERS[self._assembler.offer].suffix}"
            if self._errors:
                self._errors.commit()
                self.errors = f"{self._to.folder}/{_ERRORS}"

    @property
    def content_type(self) -> str:
        """Of the predictions."""
        return answers.OFFERS[self._assembler.offer].content_type

    def _write(self, data: bytes) -> None:
        self.bytes += len(data)
        (self._output or self._begun()).write(data)

    def _begun(self) -> Output:
        # Only with its first byte is it known what it is.
        self._output = self._created(f"predictions{answers.OFFERS[self._assembler.offer].suffix}", self.content_type)
        return self._output

    def _created(self, name: str, content_type: str) -> Output:
        return self._stack.enter_context(self._to.create(name, content_type))
