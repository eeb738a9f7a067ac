"""Items of a Distributed Map as rows: put into the format that they came from, answered at once, and told by themselves where they are bad.

Step Functions gives a row of CSV or Parquet as an object by column, and of JSON as the value that it is
(https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html).
"""

import csv
import io
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from app.errors import Invalid, MissingInput, NotAcceptable, NotFound, Problem, UnknownInput, UnknownOutput, UnsupportedContentType

CSV, LINES = "text/csv", "application/jsonl"
# One who names an unknown model, output or format does so for every row.
_OF_ALL = (NotFound, NotAcceptable, UnsupportedContentType, UnknownOutput)
# A table's columns are the same in every row.
_OF_A_TABLE = (*_OF_ALL, UnknownInput, MissingInput)

# (body, its content type, what is accepted) → the answer's bytes; raises Problem.
Predict = Callable[[bytes, str, str], bytes]


class Item(NamedTuple):
    """A row, counted from 0 over the whole input."""

    number: int
    value: Any


class Answered(NamedTuple):
    """A file of a line for each row, ``null`` or empty cells for a bad one; nothing where all are bad. And why these are bad.

    So whoever joins answers with the input line by line joins rightly, as in :mod:`app.batches.files`.
    """

    body: bytes
    content_type: str
    bad: list[tuple[Item, Problem]]


def items_of(found: Any) -> list[Item]:
    """The items of a batch by their index, as the machine's ItemSelector makes them.

    :raises Invalid: for anything else.
    """
    listed = found if isinstance(found, list) else []
    if not listed or not all(_is_item(item) for item in listed):
        raise Invalid('Items is to be a list of {"index": …, "value": …}.', pointer="/Items")
    items = sorted((Item(item["index"], item["value"]) for item in listed), key=lambda item: item.number)
    if any(one.number == other.number for one, other in itertools.pairwise(items)):
        raise Invalid("Two items have the same index.", pointer="/Items")
    return items


def runs_of(items: Sequence[Item]) -> list[list[Item]]:
    """The items in lists of such as follow one another, which a batch's mostly all do."""
    runs: list[list[Item]] = []
    for item in items:
        if runs and runs[-1][-1].number + 1 == item.number:
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def answer(items: Sequence[Item], predict: Predict, *, table: bool, output_format: str) -> Answered:
    """Answer all rows in one request, or where that is refused, in halves until the bad ones stand alone.

    :param table: whether the items are rows of CSV.
    :raises Problem: for what is wrong with all rows, and for what may pass.
    """
    # None stands for a bad row.
    pieces: list[bytes | None] = []
    named = False
    bad: list[tuple[Item, Problem]] = []
    waiting = [list(items)]
    columns = _columns(items) if table else []
    while waiting:
        part = waiting.pop()
        try:
            body = _table(part, columns) if table else _lines(part)
            piece = predict(body, f"{CSV}; header=present" if table else LINES, _accept(output_format, named=named))
            pieces.append(piece)
            named = True
        except Problem as problem:
            if problem.retryable or isinstance(problem, _OF_A_TABLE if table else _OF_ALL):
                raise
            if len(part) == 1:
                bad.append((part[0], problem))
                pieces.append(None)
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
    content_type = f"{CSV}; charset=utf-8; header=present" if output_format == "csv" else LINES
    return Answered(_joined(pieces, output_format) if named else b"", content_type, bad)


def errors_of(bad: Sequence[tuple[Item, Problem]]) -> bytes:
    """A line for each bad row, counted from 1 as people do; a table's line of names is none."""
    return b"".join(orjson.dumps({"row": item.number + 1, "error": problem.detail, "code": problem.code}) + b"\n" for item, problem in bad)


def _is_item(item: Any) -> bool:
    return isinstance(item, dict) and item.keys() == {"index", "value"} and type(item["index"]) is int and item["index"] >= 0


def _accept(output_format: str, *, named: bool) -> str:
    return LINES if output_format != "csv" else f"{CSV}; header={'absent' if named else 'present'}"


def _joined(pieces: Sequence[bytes | None], output_format: str) -> bytes:
    """The answers one after the other; a table's line of names, which came with the first of them, before all."""
    names, empty = b"", b"null\n"
    lines = [piece if piece is None or piece.endswith(b"\n") else piece + b"\n" for piece in pieces]
    if output_format == "csv":
        place, first = next((place, piece) for place, piece in enumerate(lines) if piece is not None)
        text = io.StringIO(first.decode(), newline="")
        width = len(next(csv.reader(text)))
        lines[place] = text.read().encode()
        names = first[: len(first) - len(lines[place] or b"")]
        # A blank line is no row to any reader.
        empty = b"," * (width - 1) + b"\n" if width > 1 else b'""\n'
    return names + b"".join(empty if piece is None else piece for piece in lines)


def _columns(items: Sequence[Item]) -> list[str]:
    return list(dict.fromkeys(name for item in items if isinstance(item.value, dict) for name in item.value))


def _table(items: Sequence[Item], columns: Sequence[str]) -> bytes:
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(columns)
    for item in items:
        if not isinstance(item.value, dict) or not all(isinstance(cell, str) for cell in item.value.values()):
            raise Invalid("A row of a table is to be an object of texts by column.")
        lines.writerow([item.value.get(name, "") for name in columns])
    try:
        return written.getvalue().encode()
    except UnicodeEncodeError as error:
        raise Invalid("A cell holds half of a character.") from error


def _lines(items: Sequence[Item]) -> bytes:
    try:
        return b"".join(orjson.dumps(item.value) + b"\n" for item in items)
    except orjson.JSONEncodeError as error:
        raise Invalid("A value is none that JSON can carry, such as an integer over 64 bits.") from error
