from __future__ import annotations

from pathlib import Path

import pytest

from tally.client.account import DEFAULT_URL, Account, read_key_file
from tally.errors import InvalidInput
from tests.unit.client.signed_broker import KEY

ENVIRONMENT = {"TALLY_CID": "ann", "TALLY_KEY": KEY.text, "TALLY_URL": "http://h:1/"}


def test_what_is_left_out_is_read_from_the_environment() -> None:
    assert Account.of(environment=ENVIRONMENT) == Account("http://h:1", "ann", KEY)
    assert Account.of("bob", url="http://i:2", environment=ENVIRONMENT).cid == "bob"
    assert Account.of("bob", KEY, environment={}).url == DEFAULT_URL


@pytest.mark.parametrize(
    ("missing", "sentence"), [("TALLY_CID", "cid: no customer"), ("TALLY_KEY", "key: no key")]
)
def test_what_is_given_nowhere_is_named(missing: str, sentence: str) -> None:
    rest = {name: text for name, text in ENVIRONMENT.items() if name != missing}
    with pytest.raises(InvalidInput, match=rf"^{sentence} .* set {missing}$"):
        Account.of(environment=rest)


@pytest.mark.parametrize("url", ["localhost:5000", "http://h/prefix", "ftp://h"])
def test_an_address_that_requests_cannot_be_signed_for_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"^url: "):
        Account.of("ann", KEY, url)


def test_the_key_is_not_shown() -> None:
    assert KEY.text not in repr(Account.of("ann", KEY))
    with pytest.raises(InvalidInput) as caught:
        Account.of("ann", KEY.text + "x")
    assert KEY.text not in str(caught.value)


def test_a_key_file_holds_the_key_alone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY.text}\n")
    assert read_key_file(file) == KEY
    file.write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match="it holds no key"):
        read_key_file(file)
    with pytest.raises(InvalidInput, match="No such file"):
        read_key_file(tmp_path / "nothing")
