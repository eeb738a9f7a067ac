"""Arrow's IPC stream in. https://arrow.apache.org/docs/format/Columnar.html"""

import struct
from collections.abc import Mapping
from typing import Any

from app.codecs import arrow_columns
from app.codecs.call import Call
from app.codecs.unpacked import check_unpacked
from app.errors import Unreadable
from app.tensors import Signature

_LENGTH = struct.Struct("<q")
# A table has hundreds.
_MOST_FIELDS = 100_000


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG001 - it has none
    """Read a table; see :class:`app.codecs.call.Reader`."""
    pa = arrow_columns.library()
    with arrow_columns.parsing("Arrow IPC stream"):
        check_messages(pa, body, body)
        # A view of the body: nothing is mapped and nothing copied.
        with pa.ipc.open_stream(pa.py_buffer(body)) as stream:
            arrow_columns.check_types(stream.schema, signature)
            table = stream.read_all()
        # Offsets and lengths are the sender's word until here.
        table.validate(full=True)
    return arrow_columns.call_of(table, signature, body)


def check_messages(pa: Any, stream: bytes, body: bytes) -> None:
    """Check what the messages of a stream take when they are read, by what they say themselves: that much is allocated.

    :param body: that the stream came in.
    :raises BodyTooLarge: for buffers that unpack to too much.
    :raises Unreadable: for more columns than a table has.
    """
    size = 0
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(stream)):
        metadata = memoryview(message.metadata)
        # Message.fbs: the third field is what the message is.
        header = _Flat(metadata, 0).table().field(2).table()
        if message.type == "schema":
            _check_fields(header)
        elif message.type == "dictionary":
            # its second field is a record batch
            size += _batch_bytes(header.field(1).table(), memoryview(message.body))
        elif message.type == "record batch":
            size += _batch_bytes(header, memoryview(message.body))
    check_unpacked(size, body)


def _check_fields(schema: "_Flat") -> None:
    """Count the fields, inner ones too: in a flatbuffer two may share their inner ones, so that few bytes are any number of fields."""
    left = _MOST_FIELDS
    # Schema.fbs: the second field of a schema are its fields, the sixth of a field are those inside.
    vectors = [schema.field(1)]
    while vectors:
        vector = vectors.pop()
        inner = vector.table().items() if vector.at else []
        left -= len(inner)
        if left < 0:
            raise Unreadable(f"The table has over {_MOST_FIELDS} columns.")
        vectors += [field.table().field(5) for field in inner]


def _batch_bytes(batch: "_Flat", content: memoryview) -> int:
    # The third field of a RecordBatch are its buffers, its fourth says that they are compressed.
    compressed = bool(batch.field(3).at)
    size = 0
    for buffer in batch.field(2).table().items(16):
        offset, length = buffer.number("<q"), buffer.number("<q", 8)
        # A compressed buffer begins with its length; -1 for one that is as it is.
        unpacked = int(_LENGTH.unpack_from(content, offset)[0]) if compressed and length else -1
        # Any number of columns may say that they are the same bytes, so that those are counted for each.
        size += unpacked if unpacked >= 0 else max(length, 0)
    return size


class _Flat:
    """A place in a flatbuffer, which the library has verified. https://flatbuffers.dev/internals/"""

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self.at = data, at

    def number(self, form: str, offset: int = 0) -> int:
        """The number that stands here."""
        return int(struct.unpack_from(form, self._data, self.at + offset)[0])

    def table(self) -> "_Flat":
        """Where the offset that stands here leads: a table or a vector."""
        return _Flat(self._data, self.at + self.number("<I"))

    def items(self, size: int = 4) -> "list[_Flat]":
        """The items of the vector that stands here, of ``size`` bytes each."""
        return [_Flat(self._data, self.at + 4 + size * i) for i in range(min(self.number("<I"), len(self._data)))]

    def field(self, number: int) -> "_Flat":
        """A field of the table that stands here; at 0 for one that is not there."""
        entries = _Flat(self._data, self.at - self.number("<i"))
        place = 4 + 2 * number
        offset = entries.number("<H", place) if place < entries.number("<H") else 0
        return _Flat(self._data, self.at + offset if offset else 0)
