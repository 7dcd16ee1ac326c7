from __future__ import annotations

import pytest

from broker.edge.auth import ANYBODY, Tokens
from tally.errors import ConfigurationError, Unauthorized

TOKENS = "ann:first-token, bob:second:token"


def test_without_tokens_anybody_may_call() -> None:
    assert not Tokens(" , ")
    assert Tokens("").who(None) == Tokens("").who("Bearer whatever") == ANYBODY


def test_a_token_names_its_caller_and_may_hold_a_colon() -> None:
    tokens = Tokens(TOKENS)
    assert tokens
    assert tokens.who("Bearer first-token") == "ann"
    assert tokens.who("bearer  second:token ") == "bob"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "first-token",
        "Basic first-token",
        "Bearer first-toke",
        "Bearer first-token2",
        "Bearer ann:first-token",
        "Bearer first-token second:token",
        "Bearer ÿü",
    ],
)
def test_anything_else_is_refused(header: str | None) -> None:
    with pytest.raises(Unauthorized, match="Authorization: Bearer"):
        Tokens(TOKENS).who(header)


@pytest.mark.parametrize("text", ["only-a-token", "ann:", ":first-token", "a:first-token,b:short"])
def test_a_wrong_entry_is_told_by_its_place_without_its_secret(text: str) -> None:
    with pytest.raises(ConfigurationError, match="TALLY_API_TOKENS: entry") as caught:
        Tokens(text)
    assert all(part not in str(caught.value) for part in ("first", "short", "only"))
