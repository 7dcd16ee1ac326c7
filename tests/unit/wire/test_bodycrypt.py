from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.errors import InvalidInput
from tally.wire.bodycrypt import decrypt, decrypt_with_password, encrypt, encrypt_with_password
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused
from tests.unit.wire.vectors import CIPHER, INVITATION, INVITATION_CIPHER, KEY, PLAIN


def test_a_body_is_encrypted_as_existing_clients_encrypt_it() -> None:
    assert encrypt(KEY, PLAIN) == CIPHER
    assert decrypt(KEY, CIPHER.encode()) == PLAIN


def test_an_invitation_is_encrypted_as_existing_servers_encrypt_it() -> None:
    assert encrypt_with_password("secret", INVITATION) == INVITATION_CIPHER
    assert decrypt_with_password("secret", INVITATION_CIPHER.encode()) == INVITATION


@pytest.mark.parametrize(
    "form",
    ['"{}"', " {}\n", '\n "{}" ', "{}".replace("{}", CIPHER[:76] + "\r\n" + CIPHER[76:])],
)
def test_quotes_white_space_and_broken_lines_are_no_part_of_it(form: str) -> None:
    assert decrypt(KEY, form.replace("{}", CIPHER).encode()) == PLAIN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'"',
        b'""',
        PLAIN,
        CIPHER.encode()[:-4],
        b"A" + CIPHER.encode(),
        b'"' + CIPHER.encode(),
        CIPHER.encode().replace(b"+", b"-"),
        base64.b64encode(bytes(16)),
        base64.b64encode(bytes(15)),
        b"\xff\xfe",
        encrypt(SecretKey(bytes(16)), PLAIN).encode(),
    ],
)
def test_what_is_not_encrypted_with_this_key_is_refused_in_the_same_words(body: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        decrypt(KEY, body)
    assert str(caught.value) == "body: it is not encrypted with the customer's secret key"


@pytest.mark.parametrize("password", ["", "x" * 17, "ü" * 9])
def test_a_password_has_1_to_16_bytes(password: str) -> None:
    for call in (encrypt_with_password, decrypt_with_password):
        with pytest.raises(Refused, match=r"^Password must be 1 to 16 bytes$") as caught:
            call(password, b"{}")
        assert caught.value.status.http == 400


def test_another_password_opens_nothing() -> None:
    with pytest.raises(InvalidInput, match="not encrypted with this password"):
        decrypt_with_password("Secret", INVITATION_CIPHER.encode())


@given(st.binary(max_size=100))
def test_whatever_is_encrypted_can_be_read_again(plain: bytes) -> None:
    assert decrypt(KEY, encrypt(KEY, plain).encode()) == plain
    assert decrypt_with_password("pass", encrypt_with_password("pass", plain).encode()) == plain


@given(st.binary(max_size=100) | st.binary(max_size=96).map(base64.b64encode))
def test_any_bytes_are_decrypted_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        assert isinstance(decrypt(KEY, body), bytes)
    with contextlib.suppress(InvalidInput):
        assert isinstance(decrypt_with_password("pass", body), bytes)
