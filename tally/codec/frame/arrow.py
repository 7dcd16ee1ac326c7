"""`application/vnd.apache.arrow.stream`: the streaming format of Arrow IPC."""

from __future__ import annotations

import struct
from typing import Any

from tally.codec.frame.columnar import is_readable, library, refusing, table_of
from tally.codec.frame.limits import Limits
from tally.codec.frame.table import Table
from tally.errors import InvalidInput

_BODY = "Arrow stream"
_RECORD_BATCH, _DICTIONARY_BATCH = "record batch", "dictionary"


def read(body: bytes, limits: Limits, letters: list[str] | None, lenient: bool) -> Table:
    """Return the table of an Arrow stream.

    Raises:
        InvalidInput: it is no such stream, or its buffers are compressed one by one.
        TooLarge: it is over a bound.
    """
    pa = library("pyarrow", _BODY)
    limits.check_bytes(len(body), "body")
    with refusing(_BODY):
        _refuse_compressed(body)
        options = pa.ipc.IpcReadOptions(use_threads=False)
        batches = []
        rows = 0
        with pa.ipc.open_stream(pa.BufferReader(body), options=options) as stream:
            schema = stream.schema
            limits.check_rows(0, len(schema.names))
            readable = [place for place, field in enumerate(schema) if is_readable(field.type)]
            for batch in stream:
                rows += batch.num_rows
                limits.check_rows(rows, len(schema.names))
                kept = batch.select(readable)
                kept.validate(full=True)
                batches.append(kept)
        return table_of(schema, batches, letters, lenient, limits)


def _refuse_compressed(body: bytes) -> None:
    """Refuse buffers that say how much memory they want once decompressed.

    Everything else in a stream lies in the body as it is, so its size is known to be in bounds.
    Content-Encoding compresses the whole just as well, and is undone within a bound.
    """
    ipc = library("pyarrow.ipc", _BODY)
    reader = ipc.MessageReader.open_stream(library("pyarrow", _BODY).BufferReader(body))
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        if message.type in (_RECORD_BATCH, _DICTIONARY_BATCH) and _is_compressed(message):
            raise InvalidInput(
                "body",
                "the buffers of this Arrow stream are compressed; send them as they are, and "
                "compress the whole body with Content-Encoding: zstd",
            )


def _is_compressed(message: Any) -> bool:
    metadata = bytes(message.metadata)
    try:
        header = _child(metadata, _u32(metadata, 0), 2)
        if header and message.type == _DICTIONARY_BATCH:
            header = _child(metadata, header, 1)
        return bool(header and _child(metadata, header, 3))
    except struct.error as error:
        raise InvalidInput("body", "the metadata of this Arrow stream is damaged") from error


def _child(data: bytes, table: int, field: int) -> int:
    """Return where the table in a field of a flatbuffers table starts; 0 if it is absent.

    Source: flatbuffers.dev, internals: a table starts with the distance back to its vtable, which
    has its own size, the table's, and the place of each field.
    """
    vtable = table - struct.unpack_from("<i", data, table)[0]
    slot = 4 + 2 * field
    if slot >= struct.unpack_from("<H", data, vtable)[0]:
        return 0
    place = struct.unpack_from("<H", data, vtable + slot)[0]
    return table + place + _u32(data, table + place) if place else 0


def _u32(data: bytes, place: int) -> int:
    value: int = struct.unpack_from("<I", data, place)[0]
    return value
