"""A file that is an Arrow IPC stream. What is in memory at once is the largest of its record batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from app.batches import Chunk, table_rows
from app.codecs import arrow_columns, arrow_stream
from app.errors import Problem, SettingError, Unreadable, WrongShape
from app.tensors import Signature

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_FILE_MAGIC = b"ARROW1"


class ArrowFile:
    """The rows of record batches; see :class:`app.batches.Format`.

    :raises UnsupportedContentType: where pyarrow is not installed.
    """

    answer = table_rows.CONTENT_TYPE
    in_rows = True

    def __init__(self, signature: Signature, content_type: str) -> None:  # noqa: ARG002 - it has no parameters
        arrow_columns.library()
        self._signature = signature

    def chunks(self, stream: BinaryIO, target_bytes: int) -> Iterator[Chunk]:
        """Slices of record batches."""
        if stream.read(len(_FILE_MAGIC)) == _FILE_MAGIC:
            raise Unreadable("The file is in Arrow's file format (Feather); save it as an IPC stream (pyarrow.ipc.new_stream).")
        stream.seek(0)
        found = False
        for chunk in table_rows.chunks(self._batches(stream), target_bytes):
            found = True
            yield chunk
        if not found:
            raise WrongShape("The table has no rows; send at least one.")

    def _batches(self, stream: BinaryIO) -> Iterator[Any]:
        """The record batches, each checked before it is unpacked: it is put into a stream of its own with what it needs."""
        pa = arrow_columns.library()
        before: list[bytes] = []
        with reading("Arrow IPC stream"):
            for message in pa.ipc.MessageReader.open_stream(stream):
                content = bytes(message.serialize())
                if message.type != "record batch":
                    before.append(content)
                    if len(before) == 1:
                        self._check(b"".join([*before, _END]))
                    continue
                alone = b"".join([*before, content, _END])
                arrow_stream.check_messages(pa, alone, alone)
                with pa.ipc.open_stream(pa.py_buffer(alone)) as opened:
                    batch = opened.read_next_batch()
                # Offsets and lengths are the writer's word until here.
                batch.validate(full=True)
                yield batch

    def _check(self, head: bytes) -> None:
        pa = arrow_columns.library()
        arrow_stream.check_messages(pa, head, head)
        with pa.ipc.open_stream(pa.py_buffer(head)) as opened:
            arrow_columns.check_types(opened.schema, self._signature)

    def part(self, chunk: Chunk, start: int, end: int) -> Chunk:
        """Some rows; see :class:`app.batches.Format`."""
        return table_rows.part(chunk, start, end)

    def told(self, detail: str, chunk: Chunk) -> str:
        """The row in the file."""
        return table_rows.told(detail, chunk)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What pyarrow raises of damaged files, as a problem of the file; what the store of the file raises, as it is.

    :raises Unreadable: with the name of the format.
    """
    try:
        yield
    except (Problem, SettingError, GeneratorExit):
        raise
    except Exception as error:
        # ArrowInvalid, OSError, UnicodeDecodeError, NotImplementedError, …
        raise Unreadable(f"The file is not in the {name} format, or damaged.") from error
