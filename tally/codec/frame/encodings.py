"""Content encodings: gzip and zstd, undone within a bound."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import zstandard

from tally.errors import InvalidInput, TooLarge

_FIELD = "Content-Encoding"
_GZIP_WRAPPER = 16 + zlib.MAX_WBITS
_GZIP_STEP = 1 << 20

_ZSTD_STEP = 1 << 10
"""Bytes taken at a time. Four can stand for 128 KiB, so these become 32 MiB at the very most."""

_ZSTD_WINDOW = 1 << 23
"""What RFC 9659 allows for this content encoding: a larger one asks for memory at once."""


def decompress(body: bytes, content_encoding: str, limit: int) -> bytes:
    """Undo what `Content-Encoding` names, the last encoding first.

    Several gzip members or zstd frames one after another are one content. It stops as soon
    as there is more than `limit`, whatever the body would become.

    Raises:
        InvalidInput: an encoding is unknown, or the body is not in it, or ends too early.
        TooLarge: the content has more than `limit` bytes.

    Example:
        >>> import gzip
        >>> decompress(gzip.compress(b"ab") + gzip.compress(b"c"), "gzip", limit=3)
        b'abc'
    """
    named = [name.strip().lower() for name in content_encoding.split(",")]
    applied = [name for name in named if name not in ("", "identity")]
    if len(applied) > 2:
        raise InvalidInput(_FIELD, f"{content_encoding[:80]!r} names more than two encodings")
    for name in reversed(applied):
        undo = _ENCODINGS.get(name)
        if undo is None:
            raise InvalidInput(_FIELD, f"{name[:40]!r} is unknown; gzip, zstd or none")
        body = undo(body, limit)
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    content = bytearray()
    rest = body
    try:
        while rest:
            member = zlib.decompressobj(_GZIP_WRAPPER)
            while not member.eof:
                content += member.decompress(rest, _GZIP_STEP)
                _check(len(content), limit)
                if not member.eof and not member.unconsumed_tail:
                    raise InvalidInput("body", "the gzip data ends too early")
                rest = member.unconsumed_tail
            # Some writers pad the last member with zeros; gzip itself ignores them.
            rest = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise InvalidInput("body", f"this is no gzip data: {error}") from error
    return bytes(content)


def _unzstd(body: bytes, limit: int) -> bytes:
    content = bytearray()
    view = memoryview(body)
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    frame = None
    try:
        for start in range(0, len(view), _ZSTD_STEP):
            rest = bytes(view[start : start + _ZSTD_STEP])
            while rest:
                if frame is None:
                    frame = decompressor.decompressobj()
                content += frame.decompress(rest)
                _check(len(content), limit)
                rest = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    except zstandard.ZstdError as error:
        raise InvalidInput("body", f"this is no zstd data: {error}") from error
    if frame is not None:
        raise InvalidInput("body", "the zstd data ends too early")
    return bytes(content)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge("body", f"more than {limit} bytes once decompressed")


_ENCODINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "zstd": _unzstd,
}
