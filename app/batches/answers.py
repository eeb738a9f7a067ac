"""Answers of chunks, put together as one file. Each row of the input has its row, in the same order, unless failed ones are left out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.batches import Assembler, lines
from app.codecs import media_types
from app.errors import NotAcceptable
from app.tensors import Signature

Write = Callable[[bytes], None]


class Offer(NamedTuple):
    """A format of predictions."""

    suffix: str
    content_type: str


# In the order of preference for an Accept header that takes several.
OFFERS: dict[str, Offer] = {
    "text/csv;header=present": Offer(".csv", "text/csv; charset=utf-8; header=present"),
    "text/csv;header=absent": Offer(".csv", "text/csv; charset=utf-8; header=absent"),
    "application/jsonl": Offer(".jsonl", "application/jsonl"),
    "application/x-npz": Offer(".npz", "application/x-npz"),
    "application/x-npy": Offer(".npy", "application/x-npy"),
    "application/vnd.apache.arrow.stream": Offer(".arrow", "application/vnd.apache.arrow.stream"),
    "application/vnd.apache.parquet": Offer(".parquet", "application/vnd.apache.parquet"),
    "application/json": Offer(".json", "application/json"),
}


def chosen(accept: str | None, own: str, *, in_rows: bool) -> str:
    """The offer that an ``Accept`` header likes best; the format's own where there is no header or it likes that as well.

    :raises NotAcceptable: with what can be written.
    """
    # JSON has no rows to add to.
    offers = [own, *(offer for offer in OFFERS if offer != own and (offer != "application/json" or not in_rows))]
    found = media_types.choose(accept, offers)
    if found is None:
        raise NotAcceptable(f"Predictions of this file can be {', '.join(offers)}; accept one of them, or */*.")
    return found


def assembler_of(offer: str, write: Write, signature: Signature, outputs: Sequence[str] = ()) -> Assembler:
    """What puts answers together.

    :param outputs: those that are asked for; none for the model's own choice.

    :raises UnsupportedContentType: where the library for the format is not installed.
    """
    if offer.startswith("text/csv"):
        return CsvAnswers(offer, write)
    if offer in {"application/jsonl", "application/json"}:
        return LineAnswers(offer, write)
    if offer in {"application/x-npy", "application/x-npz"}:
        from app.batches.array_answers import ArrayAnswers

        varying = [name for name in signature.chosen_outputs(outputs or None, "") if name not in signature.constant_outputs]
        return ArrayAnswers(offer, write, signature.constant_outputs, varying)
    from app.batches.table_answers import TableAnswers

    return TableAnswers(offer, write, signature.constant_outputs)


class LineAnswers:
    """A line for each row, ``null`` for one without an answer; and JSON of a file that is one row."""

    def __init__(self, accept: str, write: Write) -> None:
        self.accept = self.offer = accept
        self._write = write

    def add(self, body: bytes, rows: int) -> None:
        """Lines; see :class:`app.batches.Assembler`."""
        if self.accept == "application/jsonl" and body.count(b"\n") != rows:
            raise uneven(rows)
        self._write(body)

    def skip(self, rows: int) -> None:
        """Lines of ``null``."""
        self._write(b"null\n" * rows)

    def blank(self, example: Callable[[], bytes | None]) -> bool:  # noqa: ARG002 - a line of null is one for every model
        """They are written."""
        return True

    def finish(self) -> None:
        """Everything is written."""

    def close(self) -> None:
        """Nothing is held."""


class CsvAnswers:
    """A line for each row, of empty cells for one without an answer; the line of names once."""

    def __init__(self, accept: str, write: Write) -> None:
        self.accept = self.offer = accept
        self._write = write
        self._head: bytes | None = None
        self._blank = b""
        self._skipped = 0

    def add(self, body: bytes, rows: int) -> None:
        """Lines, without the names but for the first; see :class:`app.batches.Assembler`."""
        if self._head is None:
            self._begin(body)
        assert self._head is not None
        if not body.startswith(self._head):
            raise NotAcceptable(
                "The model answers other columns for some rows of the file, which no table holds; accept application/jsonl."
            )
        data = body[len(self._head) :]
        if lines.count_records(data) != rows:
            raise uneven(rows)
        self._write(data)

    def skip(self, rows: int) -> None:
        """Lines of empty cells, once it is known how many a line has."""
        if self._head is None:
            self._skipped += rows
        else:
            self._write(self._blank * rows)

    def blank(self, example: Callable[[], bytes | None]) -> bool:
        """Lines of empty cells; see :class:`app.batches.Assembler`."""
        body = example()
        if body is not None:
            self._begin(body)
        return body is not None

    def finish(self) -> None:
        """Everything is written."""

    def close(self) -> None:
        """Nothing is held."""

    def _begin(self, body: bytes) -> None:
        starts = lines.records(body)
        end = starts[1].offset if len(starts) > 1 else len(body)
        cells = len(lines.cells(body[:end].decode()))
        # A blank line is no row to any reader.
        self._blank = b"," * (cells - 1) + b"\n" if cells > 1 else b'""\n'
        self._head = body[:end] if self.accept.endswith("present") else b""
        self._write(self._head + self._blank * self._skipped)


def uneven(rows: int) -> NotAcceptable:
    """A model whose answer is not one for each row."""
    return NotAcceptable(
        f"The model does not answer {rows} rows with {rows} rows, so that its answers are no file; send requests of your own."
    )
