"""One-time tokens by which nodes join; the admin keeps their hashes only."""

from __future__ import annotations

import hashlib
import re

import msgspec

from tally.errors import InvalidInput
from tally.federation.errors import TokenExpired, TokenInvalid, TokenUsed

PREFIX = "FEDTOKEN"
MAX_TOKENS = 10_000
_FORM = re.compile(PREFIX + "[0-9a-f]{16}")


class Token(msgspec.Struct, frozen=True):
    """A token that was issued; consumed by `node`, if there is one."""

    expires_ms: int
    node: str = ""


class Tokens(msgspec.Struct, frozen=True):
    """All tokens that still matter, by the SHA-256 of each.

    Example:
        >>> text, tokens = Tokens().issue(bytes(8), now_ms=0, lifetime_ms=1000)
        >>> text
        'FEDTOKEN0000000000000000'
        >>> tokens = tokens.consume(text, "b" * 32, now_ms=500)
        >>> tokens.consume(text, "c" * 32, now_ms=600)
        Traceback (most recent call last):
        tally.federation.errors.TokenUsed: Federation token already used
    """

    issued: dict[str, Token] = {}

    def issue(self, entropy: bytes, *, now_ms: int, lifetime_ms: int) -> tuple[str, Tokens]:
        """Return a new token, and the tokens with it.

        Raises:
            InvalidInput: too many wait for their use.
        """
        # An expired token is remembered for one more lifetime, to be told from one never issued.
        kept = {
            key: token
            for key, token in self.issued.items()
            if now_ms < token.expires_ms + lifetime_ms
        }
        if len(kept) >= MAX_TOKENS:
            raise InvalidInput("fed_req_token", f"{MAX_TOKENS} tokens wait for their use already")
        text = PREFIX + entropy[:8].hex()
        return text, Tokens({**kept, _digest(text): Token(now_ms + lifetime_ms)})

    def consume(self, text: str, node: str, *, now_ms: int) -> Tokens:
        """Return the tokens after `node` has used this one; the same node may repeat itself.

        Raises:
            TokenInvalid, TokenExpired, TokenUsed: it may not be used.
        """
        key = _digest(text)
        token = self.issued.get(key)
        if token is None:
            raise TokenInvalid
        if token.node not in ("", node):
            raise TokenUsed
        if now_ms >= token.expires_ms:
            raise TokenExpired
        return Tokens({**self.issued, key: Token(token.expires_ms, node)})


def is_token(text: str) -> bool:
    """Tell whether a text may be a token.

    Example:
        >>> is_token("FEDTOKEN0123456789abcdef"), is_token("FEDTOKEN")
        (True, False)
    """
    return _FORM.fullmatch(text) is not None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
