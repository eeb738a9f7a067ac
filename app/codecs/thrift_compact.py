"""Values of Thrift's compact protocol, in which Parquet's metadata is written.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from typing import Any

# Parquet's structures nest five deep.
_MOST_DEPTH = 16
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_UUID = 13
_FIXED_BYTES = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}


class Compact:
    """Reads from a place in a text; ``at`` is where it has come to. Whatever is read takes at least a byte of the text."""

    def __init__(self, data: bytes, at: int = 0, *, most_values: int) -> None:
        self._data, self.at, self._left = data, at, most_values

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The fields of a struct by their numbers: integers, booleans, bytes, lists and structs; of the rest nothing is kept.

        :raises ValueError: or another error, for what is no struct, or has too many values.
        """
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            delta, kind = divmod(head, 16)
            number = number + delta if delta else self._signed()
            found[number] = self._value(kind, depth + 1)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        self._left -= 1
        if depth > _MOST_DEPTH or self._left < 0:
            raise ValueError
        if kind in {_TRUE, _FALSE}:
            return kind == _TRUE
        if kind in {_I16, _I32, _I64}:
            return self._signed()
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in {_LIST, _SET}:
            return self._list(depth)
        # Parquet has no maps.
        return self._bytes(self._unsigned() if kind == _BINARY else _FIXED_BYTES[kind])

    def _list(self, depth: int) -> list[Any]:
        count, kind = divmod(self._byte(), 16)
        # A boolean in a list takes a byte, in a struct none.
        kind = _BYTE if kind in {_TRUE, _FALSE} else kind
        return [self._value(kind, depth + 1) for _ in range(self._unsigned() if count == 15 else count)]

    def _bytes(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self._data):
            raise IndexError
        return self._data[self.at - size : self.at]

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _unsigned(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return found
            if shift > 63:
                raise ValueError

    def _signed(self) -> int:
        found = self._unsigned()
        return (found >> 1) ^ -(found & 1)
