"""A file of CSV. Every chunk gets the file's line of names, so that it can be read by itself."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from app.batches import Chunk, lines
from app.codecs import csv_input, media_types, table_columns
from app.errors import Problem, Unreadable, UnsupportedContentType, WrongShape
from app.tensors import Signature

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_PLACE = re.compile(r"line \d+(?: \(row \d+\))?")


class CsvFile:
    """CSV with a line of names or without; see :class:`app.batches.Format`.

    :param content_type: its parameter ``header`` is ``present``, ``absent`` or left to be recognised.
    :raises Invalid: for a model that takes no rows of a table.
    """

    in_rows = True

    def __init__(self, signature: Signature, content_type: str) -> None:
        table_columns.check_rows(signature)
        _, parameters = media_types.parse(content_type)
        self._signature = signature
        self._said = parameters.get("header", "")
        charset = parameters.get("charset", "utf-8")
        if charset.lower() not in {"utf-8", "utf8", "us-ascii"}:
            raise UnsupportedContentType(f"CSV is read as UTF-8, not as '{charset[:40]}'.")
        self.answer = "text/csv;header=absent"
        # What each chunk begins with, and how its content type says so.
        self._head = b""
        self._content_type = "text/csv; header=absent"

    def chunks(self, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:
        """The rows, with the names before them; see :class:`app.batches.Format`."""
        row, line = 0, 0
        try:
            for block, begins in self._blocks(stream, target_bytes):
                taken = self._begin(block) if begins else 0
                data = block[taken:]
                line += lines.count_lines(block[:taken])
                if rows := lines.count_records(data):
                    yield Chunk(self._head + data, rows, row, line + 1, self._content_type)
                row, line = row + rows, line + lines.count_lines(data)
        except lines.Broken as error:
            raise Unreadable(f"line {line + error.lines + 1}: {error}") from error
        if not row:
            raise WrongShape("The table has no rows; send at least one.")

    @staticmethod
    def _blocks(stream: BinaryIO, target_bytes: int) -> Iterator[tuple[bytes, bool]]:
        """The file in parts; the first, which is marked, has two records at least, if the file has."""
        # A quote after the mark would not be the first of its cell.
        first = lines.read(stream, len(_BOM))
        if first.startswith(_UTF_16):
            raise Unreadable("The table is UTF-16; save it as UTF-8.")
        begun, held = False, b""
        for block in lines.blocks(stream, target_bytes, lines.end_of_records, first.removeprefix(_BOM)):
            if begun:
                yield block, False
                continue
            held += block
            if len(lines.records(held)) > 1:
                begun = True
                yield held, True
        if not begun:
            yield held, True

    def part(self, chunk: Chunk, start: int, end: int) -> Chunk:
        """Some rows, with the names before them; see :class:`app.batches.Format`."""
        data = chunk.body[len(self._head) :]
        starts = lines.records(data)
        stop = starts[end].offset if end < len(starts) else len(data)
        first = starts[start]
        return chunk._replace(
            body=self._head + data[first.offset : stop],
            rows=end - start,
            first_row=chunk.first_row + start,
            first_line=chunk.first_line + first.lines,
        )

    def told(self, detail: str, chunk: Chunk) -> str:
        """Lines and rows as they are in the file; both count from 1."""
        return _PLACE.sub(f"line {chunk.first_line} (row {chunk.first_row + 1})", detail, count=1)

    def _begin(self, data: bytes) -> int:
        """Look at the first rows for names; how many bytes they take, with what is before.

        :raises Problem: for columns that are none of the model's: that makes the whole file wrong.
        """
        starts = lines.records(data)
        if not starts:
            raise WrongShape("The table is empty; send at least one row.")
        ends = [start.offset for start in starts[1:3]] + [len(data)] * 2
        first = self._cells(data[starts[0].offset : ends[0]], starts[0].lines + 1)
        try:
            names, _ = csv_input.columns_of(starts[0].lines + 1, first, self._said, self._signature)
        except WrongShape:
            # A file whose second row is right has one bad row.
            if len(starts) == 1:
                raise
            second = self._cells(data[starts[1].offset : ends[1]], starts[1].lines + 1)
            if len(second) == len(first) or not self._fit(second):
                raise
            first, names = second, []
        if names:
            head = data[starts[0].offset : ends[0]]
            self._have_names(head if head.endswith((b"\n", b"\r")) else head + b"\n")
            self.answer = "text/csv;header=present"
            return ends[0]
        if table_columns.most(self._signature) is None:
            # Names hold every row to the width of the first.
            self._have_names((",".join(map(_quoted, self._positions(len(first)))) + "\n").encode())
        return 0

    def _have_names(self, head: bytes) -> None:
        self._head, self._content_type = head, "text/csv; header=present"

    def _fit(self, cells: list[str]) -> bool:
        try:
            table_columns.by_position(len(cells), self._signature)
        except Problem:
            return False
        return True

    def _positions(self, width: int) -> list[str]:
        """Names for the columns of a table without any."""
        found = [""] * width
        for spec, positions in table_columns.by_position(width, self._signature):
            alone = table_columns.width(spec, ()) == 1
            for number, position in enumerate(positions):
                found[position] = spec.name if alone else f"{spec.name}[{number}]"
        return found

    @staticmethod
    def _cells(data: bytes, line: int) -> list[str]:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise Unreadable(f"line {line} is no UTF-8 text.") from error
        return lines.cells(text)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
