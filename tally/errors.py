"""Every error that a caller may meet: one class per cause, each with a stable code.

HTTP appears in `broker/edge/errors.py` only, whose table gives each code its status.
"""

from __future__ import annotations


class TallyError(Exception):
    """The base of all errors that carry a sentence meant for the user.

    Attributes:
        code: stable and machine readable; part of the API.
    """

    code = "internal"


class InvalidInput(TallyError):
    """A value that the user sent cannot be used; the message names the field and the value."""

    code = "invalid_input"

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        super().__init__(f"{field}: {reason}")


class TooLarge(InvalidInput):
    """The input is over a configured bound."""

    code = "too_large"


class AlgorithmUnavailable(InvalidInput):
    """The algorithm exists, but the optional package that it needs is not installed."""

    code = "algorithm_unavailable"


class NotFound(TallyError):
    """The named thing does not exist."""

    code = "not_found"


class Conflict(TallyError):
    """The request contradicts the present state, which the message describes."""

    code = "conflict"


class IdempotencyMismatch(Conflict):
    """The same idempotency key came with another body."""

    code = "idempotency_mismatch"


class Unauthorized(TallyError):
    """The request carries no valid credential."""

    code = "unauthorized"


class Unavailable(TallyError):
    """Nothing is wrong with the request, but it cannot be answered now.

    Attributes:
        retry_after_s: when it is worth trying again, in seconds.
    """

    code = "unavailable"

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class TooBusy(Unavailable):
    """So much is waiting already that nothing more is taken on; nothing was changed."""

    code = "too_busy"


class StoreUnavailable(Unavailable):
    """The store could not be reached; nothing was changed."""

    code = "store_unavailable"


class OutcomeUnknown(StoreUnavailable):
    """A write may or may not have happened: acknowledge nothing until a fresh read decides."""

    code = "outcome_unknown"


class CoordinationUnavailable(Unavailable):
    """The coordinator (etcd) could not be reached."""

    code = "coordination_unavailable"


class QueueUnavailable(Unavailable):
    """The fit queue could not be reached; the ledger still holds the fit."""

    code = "queue_unavailable"


class CorruptState(TallyError):
    """Stored bytes do not match their digest or their format."""

    code = "corrupt_state"


class ClaimLost(TallyError):
    """Another worker has taken this fit over; whatever this one does no longer counts."""

    code = "claim_lost"


class FitFailed(TallyError):
    """The fit itself failed; the message is the reason that the user reads.

    Attributes:
        retryable: false where the same data would fail in the same way again.
    """

    code = "fit_failed"

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        self.retryable = retryable
        super().__init__(message)


class ConfigurationError(TallyError):
    """The process cannot start with these settings; the message says what to change."""

    code = "configuration"
