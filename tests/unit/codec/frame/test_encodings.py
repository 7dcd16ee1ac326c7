from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
import zstandard

from tally.codec.frame.encodings import decompress
from tally.errors import InvalidInput, TooLarge
from tests.unit.codec.frame.reading import read, sheet

CONTENT = b"some content, " * 1000
LIMIT = len(CONTENT)
MIB = 1 << 20


def zstd_stream(content: bytes) -> bytes:
    """A frame that does not say how long its content is."""
    writer = zstandard.ZstdCompressor().compressobj()
    return writer.compress(content) + writer.flush()


ENCODED = {
    "gzip": [gzip.compress(CONTENT)],
    "gzip members": [gzip.compress(CONTENT[:5]), gzip.compress(b""), gzip.compress(CONTENT[5:])],
    "zstd": [zstandard.compress(CONTENT)],
    "zstd frames": [zstandard.compress(CONTENT[:9000]), zstandard.compress(CONTENT[9000:])],
    "zstd of unknown size": [zstd_stream(CONTENT[:1]), zstd_stream(CONTENT[1:])],
    "zstd after what may be skipped": [b"\x50\x2a\x4d\x18\x02\0\0\0hi", zstd_stream(CONTENT)],
}
EACH = pytest.mark.parametrize("kind", ENCODED)


@EACH
def test_a_body_is_decompressed_up_to_the_bound(kind: str) -> None:
    body = b"".join(ENCODED[kind])
    assert decompress(body, kind.split()[0], LIMIT) == CONTENT
    with pytest.raises(TooLarge, match=f"more than {LIMIT - 1} bytes"):
        decompress(body, kind.split()[0], LIMIT - 1)


@EACH
def test_a_body_that_ends_too_early_is_refused(kind: str) -> None:
    last = ENCODED[kind][-1]
    for length in (1, 5, len(last) // 2, len(last) - 1):
        with pytest.raises(InvalidInput, match=r"too early|no gzip|no zstd"):
            decompress(b"".join([*ENCODED[kind][:-1], last[:length]]), kind.split()[0], LIMIT)


@EACH
def test_what_follows_the_last_frame_must_be_one(kind: str) -> None:
    with pytest.raises(InvalidInput, match="this is no"):
        decompress(b"".join(ENCODED[kind]) + b"more than nothing", kind.split()[0], LIMIT)


def test_zeros_after_gzip_are_padding() -> None:
    assert decompress(gzip.compress(CONTENT) + bytes(512), "gzip", LIMIT) == CONTENT


@pytest.mark.parametrize("header", ["", "identity", " , "])
def test_a_body_without_an_encoding_is_left_as_it_is(header: str) -> None:
    assert decompress(b"\x1f\x8b", header, LIMIT) == b"\x1f\x8b"


def test_several_encodings_are_undone_last_first() -> None:
    body = zstandard.compress(gzip.compress(CONTENT))
    assert decompress(body, "GZIP, zstd", LIMIT) == CONTENT
    with pytest.raises(InvalidInput, match="more than two"):
        decompress(body, "gzip, gzip, gzip", LIMIT)


@pytest.mark.parametrize("header", ["br", "deflate", "gzip, br"])
def test_an_unknown_encoding_is_named(header: str) -> None:
    name = header.split(", ")[-1]
    with pytest.raises(InvalidInput, match=f"Content-Encoding: '{name}' is unknown"):
        decompress(CONTENT, header, LIMIT)


def test_other_bytes_are_no_encoding() -> None:
    with pytest.raises(InvalidInput, match="this is no gzip data"):
        decompress(CONTENT, "gzip", LIMIT)
    with pytest.raises(InvalidInput, match="this is no zstd data"):
        decompress(CONTENT, "zstd", LIMIT)


def gzip_bomb() -> bytes:
    writer = zlib.compressobj(9, wbits=31)
    step = bytes(MIB)
    return b"".join([*(writer.compress(step) for _ in range(1024)), writer.flush()])


def zstd_bomb() -> bytes:
    writer = zstandard.ZstdCompressor().compressobj()
    step = bytes(MIB)
    return b"".join([*(writer.compress(step) for _ in range(1024)), writer.flush()])


@pytest.mark.parametrize(("encoding", "bomb"), [("gzip", gzip_bomb), ("zstd", zstd_bomb)])
def test_a_gibibyte_of_zeros_is_refused_after_little_memory(encoding: str, bomb: object) -> None:
    assert callable(bomb)
    body = bomb()
    assert len(body) < 2 * MIB
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompress(body, encoding, 8 * MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 128 * MIB


def test_a_window_larger_than_the_standard_allows_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = writer.compress(CONTENT) + writer.flush()
    with pytest.raises(InvalidInput, match="no zstd data"):
        decompress(body, "zstd", LIMIT)


def test_a_frame_may_come_compressed() -> None:
    assert read(gzip.compress(sheet(["1"], names="a")), encoding="gzip").rows == 1
