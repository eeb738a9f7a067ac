"""A file of JSON Lines."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from app.batches import Chunk, lines
from app.errors import Unreadable, WrongShape
from app.tensors import Signature

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# A line that begins with what may be all of it.
_SPACED = re.compile(rb"\n\s")
_PLACE = re.compile(r"\Aline \d+: ")


class JsonLinesFile:
    """A row in each line that is not blank; see :class:`app.batches.Format`."""

    answer = "application/jsonl"
    in_rows = True

    def __init__(self, signature: Signature, content_type: str) -> None:
        """Nothing about lines depends on the model."""

    def chunks(self, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:
        """Lines; see :class:`app.batches.Format`."""
        row, line = 0, 0
        try:
            for block in lines.blocks(stream, target_bytes, lines.end_of_json_lines):
                data = block
                if not line:
                    if block.startswith(_UTF_16):
                        raise Unreadable("The file is UTF-16; save it as UTF-8.")
                    data = block.removeprefix(_BOM)
                if rows := _count(data):
                    yield Chunk(data, rows, row, line + 1, self.answer)
                row, line = row + rows, line + data.count(b"\n")
        except lines.Broken as error:
            raise Unreadable(f"line {line + error.lines + 1}: {error}") from error
        if not row:
            raise WrongShape("There is no line with a value; send at least one row.")

    def part(self, chunk: Chunk, start: int, end: int) -> Chunk:
        """Some rows; see :class:`app.batches.Format`."""
        starts = lines.json_lines(chunk.body)
        stop = starts[end].offset if end < len(starts) else len(chunk.body)
        first = starts[start]
        return chunk._replace(
            body=chunk.body[first.offset : stop],
            rows=end - start,
            first_row=chunk.first_row + start,
            first_line=chunk.first_line + first.lines,
        )

    def told(self, detail: str, chunk: Chunk) -> str:
        """The line as it is in the file."""
        return f"line {chunk.first_line}: {_PLACE.sub('', detail)}"


def _count(data: bytes) -> int:
    """The lines that are not blank; those of most files can be counted without looking into them."""
    if not data[:1].strip() or _SPACED.search(data):
        return len(lines.json_lines(data))
    return data.count(b"\n") + (not data.endswith(b"\n"))
