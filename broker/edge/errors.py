"""Every error code with its HTTP status, and how a client reads it (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from tally.errors import InvalidInput, TallyError, Unavailable

PROBLEM = "application/problem+json"

STATUS: dict[str, int] = {
    "internal": 500,
    "invalid_input": 400,
    "too_large": 413,
    "algorithm_unavailable": 400,
    "not_found": 404,
    "conflict": 409,
    "idempotency_mismatch": 422,
    "unauthorized": 401,
    "unavailable": 503,
    "store_unavailable": 503,
    "outcome_unknown": 503,
    "coordination_unavailable": 503,
    "queue_unavailable": 503,
    "corrupt_state": 500,
    "claim_lost": 409,
    "fit_failed": 422,
    "configuration": 500,
}


def problem(error: TallyError, **more: object) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body that tell a client of an error.

    Args:
        error: what happened.
        more: further members of the problem, such as the URL of the fit.
    """
    status = STATUS[error.code]
    body: dict[str, object] = {
        "type": f"urn:tally:problem:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(error),
        "code": error.code,
    }
    if isinstance(error, InvalidInput):
        body["field"] = error.field
    headers = {"content-type": PROBLEM}
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(error.retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="tally"'
    return status, headers, msgspec.json.encode(body | more)
