"""Every error code with the status that it has under `/symetry`."""

from __future__ import annotations

from tally.errors import TallyError, Unavailable
from tally.wire.status import Refused, StatusCode

RETRY_AFTER_S = 1

STATUS: dict[str, StatusCode] = {
    "internal": StatusCode.INTERNAL_SERVER_ERROR,
    "invalid_input": StatusCode.BAD_REQUEST,
    "too_large": StatusCode.REQUEST_ENTITY_TOO_LARGE,
    "algorithm_unavailable": StatusCode.BAD_REQUEST,
    "not_found": StatusCode.BAD_REQUEST,  # by the documents, for whatever is unknown
    "conflict": StatusCode.CONFLICT,
    "idempotency_mismatch": StatusCode.UNPROCESSABLE_ENTITY,
    "unauthorized": StatusCode.UNAUTHORIZED,
    "unavailable": StatusCode.SERVICE_UNAVAILABLE,
    "too_busy": StatusCode.TOO_MANY_REQUESTS,
    "store_unavailable": StatusCode.SERVICE_UNAVAILABLE,
    "outcome_unknown": StatusCode.SERVICE_UNAVAILABLE,
    "coordination_unavailable": StatusCode.SERVICE_UNAVAILABLE,
    "queue_unavailable": StatusCode.SERVICE_UNAVAILABLE,
    "corrupt_state": StatusCode.INTERNAL_SERVER_ERROR,
    "claim_lost": StatusCode.SERVICE_UNAVAILABLE,
    "fit_failed": StatusCode.UNPROCESSABLE_ENTITY,
    "configuration": StatusCode.INTERNAL_SERVER_ERROR,
}

DEFECT = Refused(
    "This is a defect of the broker; its log tells more under the request's id",
    StatusCode.INTERNAL_SERVER_ERROR,
)


def refused(error: TallyError) -> Refused:
    """Return an error as the protocol tells it.

    Example:
        >>> refused(Unavailable("later")).status
        <StatusCode.SERVICE_UNAVAILABLE: 'SERVICE_UNAVAILABLE'>
    """
    return error if isinstance(error, Refused) else Refused(str(error), STATUS[error.code])


def retry_after(error: TallyError) -> dict[str, str]:
    """Return the header that says when to come again, where coming again may help."""
    if isinstance(error, Unavailable):
        return {"retry-after": str(error.retry_after_s)}
    if refused(error).status in (StatusCode.SERVICE_UNAVAILABLE, StatusCode.TOO_MANY_REQUESTS):
        return {"retry-after": str(RETRY_AFTER_S)}
    return {}
