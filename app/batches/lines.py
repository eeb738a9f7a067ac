"""Text that is cut where its lines or records end."""

import csv
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

# A longer row is a file without line ends, or with a quote that is never closed.
MOST_ROW_BYTES = 16 * 1024 * 1024
# What ends a line of CSV, and nothing else that Unicode calls a line's end.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_END = re.compile(rb"\r\n|\r|\n")


class Broken(Exception):
    """A row has no end; ``lines`` are those before it in the block that was to be cut."""

    def __init__(self, lines: int, reason: str) -> None:
        super().__init__(reason)
        self.lines = lines


class Start(NamedTuple):
    """Where a row begins: the byte, and the lines before it."""

    offset: int
    lines: int


def blocks(stream: BinaryIO, target_bytes: int, border: Callable[[bytes, bool], int], rest: bytes = b"") -> Iterator[bytes]:
    """The stream in parts of about so many bytes.

    :param border: where the last row that is whole ends in some bytes (0 for nowhere), and whether these are the file's last.
    :param rest: what was read of the stream already.
    :raises Broken: for a row that is too long, however long the file is and wherever in it the row is.
    """
    ended = False
    # With the byte that ends it.
    most = max(MOST_ROW_BYTES + 1, target_bytes)
    while not ended:
        # A row that is longer is looked for in twice as much each time.
        wanted = min(max(target_bytes, len(rest)), most - len(rest))
        more = read(stream, wanted)
        ended = len(more) < wanted
        rest += more
        cut = border(rest, ended)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        elif len(rest) >= most:
            raise Broken(0, f"a row of over {MOST_ROW_BYTES} bytes begins here: a line's end is missing, or a quote is not closed.")


def read(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, fewer at the end alone."""
    parts: list[bytes] = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def end_of_json_lines(data: bytes, ended: bool) -> int:  # noqa: FBT001 - as blocks calls it
    """Where the last line ends."""
    return len(data) if ended else data.rfind(b"\n") + 1


def json_lines(data: bytes) -> list[Start]:
    """The lines that are not blank."""
    found: list[Start] = []
    offset = 0
    for lines, line in enumerate(data.split(b"\n")):
        if line.strip():
            found.append(Start(offset, lines))
        offset += len(line) + 1
    return found


def end_of_records(data: bytes, ended: bool) -> int:  # noqa: FBT001 - as blocks calls it
    """Where the last record of CSV ends.

    :raises Broken: for a quote that is open at the file's end.
    """
    if b'"' not in data:
        # The last byte may be the first of a line's end of two.
        return len(data) if ended else max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1
    lined = data if data.endswith((b"\r", b"\n")) else data + b"\n"
    # A row after the last shows whether that is whole: if a quote is open, it is a part of it.
    *starts, probe = records(lined + b"x")
    whole = probe.offset == len(lined)
    if ended:
        if not whole:
            raise Broken(probe.lines, "a quote is not closed (RFC 4180).")
        return len(data)
    if whole and data.endswith(b"\n"):
        return len(data)
    return probe.offset if not whole else starts[-1].offset if starts else 0


def records(data: bytes) -> list[Start]:
    """The records of CSV that are not blank. What the codec refuses in one of them does not hide the next."""
    offset = 0

    def texts() -> Iterator[str]:
        nonlocal offset
        # A letter for each byte: what ends lines and cells is ASCII, and UTF-8 has it nowhere else.
        for line in _LINE.finditer(data.decode("latin-1")):
            offset = line.end()
            yield line[0]

    found: list[Start] = []
    reader = csv.reader(texts())
    start, before = 0, 0
    for cells in reader:
        if cells:
            found.append(Start(start, before))
        start, before = offset, reader.line_num
    return found


def cells(text: str) -> list[str]:
    """The cells of a record."""
    return next(csv.reader(line[0] for line in _LINE.finditer(text)), [])


def count_records(data: bytes) -> int:
    """How many records of CSV there are."""
    plain = b'"' not in data and data.count(b"\r") == data.count(b"\r\n")
    if not plain or data[:1] in {b"\n", b"\r", b""} or b"\n\n" in data or b"\n\r" in data:
        return len(records(data))
    return data.count(b"\n") + (not data.endswith(b"\n"))


def count_lines(data: bytes) -> int:
    """How many lines of CSV end."""
    return len(_END.findall(data)) if b"\r" in data else data.count(b"\n")
