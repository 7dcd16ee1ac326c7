"""Structs in the compact protocol of Apache Thrift, in which Parquet writes what it says of itself.

Source: github.com/apache/thrift, doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET = range(11)
_STRUCT = 12
_MAX_DEPTH = 16


def read_struct(data: bytes, start: int = 0) -> tuple[dict[int, Any], int]:
    """Return the struct that starts there, by number of its fields, and where it ends.

    Integers are int, texts and doubles bytes, lists list, structs dict again.

    Raises:
        ValueError: the bytes are damaged, nested more than 16 deep, or a field comes twice.

    Example:
        >>> read_struct(bytes([0x15, 0x04, 0x18, 0x01, 0x61, 0x00]))
        ({1: 2, 2: b'a'}, 6)
    """
    reader = _Reader(data, start)
    return reader.struct(0), reader.place


@dataclass(slots=True)
class _Reader:
    data: bytes
    place: int

    def struct(self, depth: int) -> dict[int, Any]:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            step, kind = head >> 4, head & 15
            number = number + step if step else self._integer()
            if number in fields:
                # Readers differ in whether a second struct replaces or completes the first.
                raise ValueError(f"field {number} comes twice")
            # A field of this kind is the truth itself; an element of a list has a byte for it.
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_I16, _I32, _I64):
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            return self._list(depth + 1)
        if kind in (_BYTE, _TRUE, _FALSE):
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise ValueError(f"values of kind {kind} are not expected")

    def _list(self, depth: int) -> list[Any]:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        head = self._byte()
        size, kind = head >> 4, head & 15
        if size == 15:
            size = self._varint()
        # Every element has at least one byte, so a list ends with the data at the latest.
        return [self._value(kind, depth) for _ in range(size)]

    def _bytes(self, size: int) -> bytes:
        if size > len(self.data) - self.place:
            raise ValueError("ends too early")
        self.place += size
        return self.data[self.place - size : self.place]

    def _byte(self) -> int:
        if self.place >= len(self.data):
            raise ValueError("ends too early")
        self.place += 1
        return self.data[self.place - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a number has too many bytes")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
