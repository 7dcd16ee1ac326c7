from __future__ import annotations

import base64
import contextlib
import hashlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tally.codec.container import MAGIC, open_sealed, seal
from tally.errors import CorruptState

BOUND = 1 << 16
TEXT = seal(b"what a project is" * 10)


def forged(packed: bytes, size: int, version: int = 1) -> str:
    head = MAGIC + bytes([version]) + size.to_bytes(8, "little")
    return base64.b64encode(head + hashlib.sha256(packed).digest() + packed).decode()


@given(st.binary(max_size=1000))
def test_what_is_sealed_opens(data: bytes) -> None:
    assert open_sealed(seal(data), max_bytes=BOUND) == data


def test_quotes_and_line_ends_around_an_export_do_not_matter() -> None:
    wrapped = '"' + "\n".join(TEXT[at : at + 60] for at in range(0, len(TEXT), 60)) + '"\n'
    assert open_sealed(wrapped, max_bytes=BOUND) == b"what a project is" * 10


@given(st.data())
def test_a_cut_or_changed_export_is_refused(data: st.DataObject) -> None:
    with pytest.raises(CorruptState):
        open_sealed(TEXT[: data.draw(st.integers(0, len(TEXT) - 5))], max_bytes=BOUND)
    raw = bytearray(base64.b64decode(TEXT))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptState):
        open_sealed(base64.b64encode(raw).decode(), max_bytes=BOUND)


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(CorruptState):
        open_sealed(text, max_bytes=BOUND)


def test_a_small_export_of_very_much_is_refused() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 26))
    assert len(bomb) < 1 << 14
    with pytest.raises(CorruptState, match="67108864 bytes; 65536 are allowed"):
        open_sealed(forged(bomb, 1 << 26), max_bytes=BOUND)
    with pytest.raises(CorruptState, match="another number of bytes than 10"):
        open_sealed(forged(bomb, 10), max_bytes=BOUND)


def test_what_zstd_cannot_read_is_refused() -> None:
    with pytest.raises(CorruptState):
        open_sealed(forged(b"no zstd", 10), max_bytes=BOUND)
    with pytest.raises(CorruptState):
        open_sealed(forged(zstandard.compress(b"x" * 100)[:-3], 100), max_bytes=BOUND)


def test_a_newer_export_is_refused() -> None:
    with pytest.raises(CorruptState, match="version 2; 1 is known"):
        open_sealed(forged(zstandard.compress(b"x"), 1, version=2), max_bytes=BOUND)


@given(st.binary(max_size=100), st.integers(0, 1000))
def test_forged_contents_raise_nothing_else(packed: bytes, size: int) -> None:
    with contextlib.suppress(CorruptState):
        open_sealed(forged(packed, size), max_bytes=BOUND)
