from __future__ import annotations

import base64
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import given
from hypothesis import strategies as st

from tally.errors import InvalidInput, TooLarge
from tally.wire.cell_blob import open_sealed, seal, seal_with
from tally.wire.secret_key import SecretKey

KEY = SecretKey(bytes(range(16)))
OTHER = SecretKey(bytes(16))
NONCE = bytes(range(12))
VECTOR = "AAECAwQFBgcICQoL/zwHEcXTw6WrYL8PzhDtYMf6Ii17PGibUoYWgbqBieTyPaLZMQ=="


def derived(secret: bytes) -> bytes:
    """HKDF as RFC 5869 writes it, for one block."""

    def hmac(key: bytes, data: bytes) -> bytes:
        mac = HMAC(key, SHA256())
        mac.update(data)
        return mac.finalize()

    return hmac(hmac(bytes(32), secret), b"sml-cell-v1\x01")


def packed(stream: bytes) -> str:
    sealed = AESGCM(derived(KEY.raw)).encrypt(NONCE, stream, None)
    return base64.b64encode(NONCE + sealed).decode()


@given(st.binary(max_size=2000))
def test_what_is_sealed_comes_back(data: bytes) -> None:
    assert open_sealed(KEY, seal(KEY, data), max_bytes=2000) == data


def test_equal_statistics_look_different_each_time() -> None:
    assert seal(KEY, b"same") != seal(KEY, b"same")


def test_the_form_is_the_documented_one() -> None:
    assert seal_with(KEY, b"statistics", NONCE) == VECTOR
    raw = base64.b64decode(VECTOR)
    assert raw[:12] == NONCE
    plain = AESGCM(derived(KEY.raw)).decrypt(NONCE, raw[12:], None)
    assert zlib.decompress(plain) == b"statistics"


@pytest.mark.parametrize("level", [0, 1, 9])
def test_however_hard_the_sender_compressed_it_opens(level: int) -> None:
    assert open_sealed(KEY, packed(zlib.compress(b"statistics" * 99, level))) == b"statistics" * 99


def test_only_what_becomes_smaller_is_compressed() -> None:
    counts, noise = bytes(100_000), SecretKey.generate().raw * 4096
    assert len(seal(KEY, counts)) < 1000
    assert len(noise) == 65536
    assert len(seal(KEY, noise)) < 65536  # repeats itself
    hard = bytes(hash_byte for k in range(4000) for hash_byte in derived(k.to_bytes(16, "big")))
    assert len(hard) * 4 / 3 <= len(seal(KEY, hard)) < len(hard) * 4 / 3 + 200


@pytest.mark.parametrize(
    "text",
    ["", "no base64!", "AAAA", VECTOR[:-4], VECTOR[:20] + "AAAA" + VECTOR[24:], "é"],
    ids=["empty", "no base64", "short", "cut", "changed", "not ASCII"],
)
def test_what_was_not_sealed_so_is_refused_in_the_same_words(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^blob: it was not sealed with this customer's key$"):
        open_sealed(KEY, text)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(InvalidInput, match="not sealed with this customer's key") as error:
        open_sealed(OTHER, VECTOR)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    "stream", [b"", b"x", zlib.compress(b"a")[:-1], zlib.compress(b"a") + b"b"]
)
def test_a_sender_who_seals_something_else_is_refused(stream: bytes) -> None:
    with pytest.raises(InvalidInput, match="zlib stream"):
        open_sealed(KEY, packed(stream))


def test_a_bomb_is_not_inflated() -> None:
    bomb = packed(zlib.compress(bytes(10_000_000), 9))
    assert len(bomb) < 20_000
    with pytest.raises(TooLarge, match="more than the 100000 bytes"):
        open_sealed(KEY, bomb, max_bytes=100_000)
    with pytest.raises(TooLarge, match="characters; 1000 bytes are allowed"):
        open_sealed(KEY, bomb, max_bytes=1000)
    exact = packed(zlib.compress(bytes(1000)))
    assert open_sealed(KEY, exact, max_bytes=1000) == bytes(1000)
    with pytest.raises(TooLarge):
        open_sealed(KEY, exact, max_bytes=999)
