"""What may go wrong between peers besides what may go wrong with any input."""

from __future__ import annotations

from tally.engine.prescribed import Prescribed
from tally.errors import Conflict, TallyError, Unauthorized
from tally.wire import texts


class EnvelopeRefused(TallyError):
    """Bytes that claim to be a message of this federation are not; the message says why."""

    code = "invalid_input"


class UnknownSender(EnvelopeRefused):
    """A message of somebody whom the roster does not tell of, or does not yet."""

    def __init__(self, uuid: str) -> None:
        super().__init__(f"peer [{uuid}] is not in the roster")


class NotAdmin(Unauthorized):
    """Only the peer that created the federation may do this."""

    def __init__(self) -> None:
        super().__init__(texts.ADMIN_ONLY)


class NotNow(Conflict):
    """The peer's state does not allow this command."""


class TokenInvalid(Unauthorized):
    """Nobody issued this token."""

    def __init__(self) -> None:
        super().__init__(texts.INVITATION_UNKNOWN)


class TokenExpired(TallyError):
    """The token was not used in time."""

    code = "invalid_input"

    def __init__(self) -> None:
        super().__init__(texts.INVITATION_OLD)


class TokenUsed(Conflict):
    """Another node joined by this token."""

    def __init__(self) -> None:
        super().__init__(texts.INVITATION_USED)


class CannotJoin(TallyError):
    """The admin, or the transport, would not let this node in."""

    code = "invalid_input"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Cannot join federation: {reason}")


def refusal(code: str, text: str) -> TallyError:
    """Return the admin's refusal as it raised it, from what its answer says of it.

    Example:
        >>> refusal("TokenUsed", "")
        TokenUsed('Federation token already used')
        >>> refusal("CannotJoin", "Cannot join federation: full")
        CannotJoin('Cannot join federation: full')
    """
    for kind in (TokenInvalid, TokenExpired, TokenUsed):
        if kind.__name__ == code:
            return kind()
    return CannotJoin(text.removeprefix("Cannot join federation: "))


class UnknownPeer(Prescribed):
    """No such peer is in the roster."""

    def __init__(self, peer: str) -> None:
        super().__init__("fed_peer_uuid_for_explore", f"Unknown peer [{peer}]")


class ExplorationRefused(Unauthorized):
    """The peer does not let others explore its statistics."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"Peer [{peer}] does not allow exploration")
