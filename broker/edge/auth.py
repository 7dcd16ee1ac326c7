"""Who calls `/api`: the name that belongs to the bearer token, or anybody where it is open."""

from __future__ import annotations

import hmac

from tally.errors import ConfigurationError, Unauthorized

ANYBODY = "anonymous"


class Tokens:
    """The tokens that open `/api`.

    Args:
        text: `name:token`, several separated by commas; empty: everybody may call.

    Raises:
        ConfigurationError: an entry has no name or no token; none is repeated in the message.

    Example:
        >>> Tokens("ann:s3cret-token").who("Bearer s3cret-token")
        'ann'
    """

    def __init__(self, text: str) -> None:
        self._names: list[tuple[str, bytes]] = []
        for place, entry in enumerate(filter(None, map(str.strip, text.split(",")))):
            name, _, token = entry.partition(":")
            if not name or len(token) < 8:
                raise ConfigurationError(
                    f"TALLY_API_TOKENS: entry {place + 1} is not name:token with a token of at "
                    "least 8 characters"
                )
            self._names.append((name, token.encode()))

    def __bool__(self) -> bool:
        """Tell whether a token is needed."""
        return bool(self._names)

    def who(self, authorization: str | None) -> str:
        """Return the caller's name.

        Raises:
            Unauthorized: the header carries none of the tokens.
        """
        if not self._names:
            return ANYBODY
        scheme, _, given = (authorization or "").partition(" ")
        found = None
        for name, token in self._names:
            # All are compared, so that the time tells nothing of which was close.
            if hmac.compare_digest(given.strip().encode(), token):
                found = name
        if found is None or scheme.lower() != "bearer":
            raise Unauthorized("this needs `Authorization: Bearer` with one of the API tokens")
        return found
