from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.errors import InvalidInput
from tally.wire.secret_key import SecretKey

TEXT = "AAECAwQFBgcICQoLDA0ODw=="


def test_a_key_is_its_text_and_its_bytes() -> None:
    key = SecretKey.parse(TEXT)
    assert (key.text, key.raw) == (TEXT, bytes(range(16)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        TEXT[:-1],
        TEXT[:-3] + "x==",  # the same bytes, but not the text that would be signed with
        TEXT + "\n",
        f" {TEXT}",
        base64.b64encode(bytes(15)).decode(),
        base64.b64encode(bytes(17)).decode(),
        base64.urlsafe_b64encode(b"\xff" * 16).decode(),
        "ü" * 24,
        "\ud800",
    ],
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^key: it ") as caught:
        SecretKey.parse(text)
    assert len(text) < 2 or text not in str(caught.value)


@given(st.binary(min_size=16, max_size=16))
def test_every_16_bytes_are_a_key_that_is_parsed_from_its_text(raw: bytes) -> None:
    assert SecretKey.parse(SecretKey(raw).text) == SecretKey(raw)


def test_a_key_shows_itself_in_no_representation() -> None:
    key = SecretKey.parse(TEXT)
    assert f"{key} {key!r} {[key]}" == "SecretKey(hidden) SecretKey(hidden) [SecretKey(hidden)]"
    with pytest.raises(TypeError, match="not pickled"):
        key.__reduce_ex__(2)


def test_new_keys_differ() -> None:
    made = {SecretKey.generate() for _ in range(100)}
    assert len(made) == 100
