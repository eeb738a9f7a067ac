"""The two files that come out of one: predictions, and errors where there are any. Neither is there before both are whole."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

import orjson

from app.batches import Output, Place, answers
from app.batches.rows import Piece
from app.batches.tally import Tally
from app.tensors import Signature

_ERRORS = "errors.jsonl"


class Writing:
    """Open outputs; leaving the context without :meth:`commit` leaves nothing behind."""

    def __init__(self, place: Place, folder: str, offer: str, signature: Signature, tally: Tally, *, keep_failed: bool) -> None:
        suffix, self.content_type = answers.OFFERS[offer]
        self.bytes = 0
        # The names of what is there; None for a file that would be empty.
        self.predictions: str | None = None
        self.errors: str | None = None
        self._place, self._folder = place, folder
        self._tally, self._keep_failed = tally, keep_failed
        self._names = f"{folder}/predictions{suffix}", f"{folder}/{_ERRORS}"
        self._stack = ExitStack()
        self._errors: Output | None = None
        self._assembler = answers.assembler_of(offer, self._write, signature)
        self.accept = self._assembler.accept

    def __enter__(self) -> Self:
        self._stack.callback(self._assembler.close)
        self._output = self._stack.enter_context(self._place.create(self._names[0], self.content_type))
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
            if self._errors is None:
                self._errors = self._stack.enter_context(self._place.create(self._names[1], "application/jsonl"))
            self._errors.write(orjson.dumps(piece.failed._asdict()) + b"\n")

    def commit(self) -> None:
        """Have the files there. What was there before, of a try that did not come to its end, holds the same."""
        predictions, errors = self._names
        with self._tally.timing("write"):
            if self._tally.failures < self._tally.rows:
                self._assembler.finish()
                self._output.commit()
                self.predictions = predictions
            if self._errors:
                self._errors.commit()
                self.errors = errors

    def _write(self, data: bytes) -> None:
        self.bytes += len(data)
        self._output.write(data)
