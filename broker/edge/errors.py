"""Every error code with its HTTP status, and how a client reads it (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from tally.errors import InvalidInput, TallyError, Unavailable

PROBLEM = "application/problem+json"

DEFECT = "this is a defect of the broker; its log tells more under the request's id"

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
    "too_busy": 429,
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
    body = _members(status, f"urn:tally:problem:{error.code}", str(error), error.code)
    if isinstance(error, InvalidInput):
        body["field"] = error.field
    headers = {"content-type": PROBLEM}
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(error.retry_after_s)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="tally"'
    return status, headers, msgspec.json.encode(body | more)


def http_problem(status: int, detail: str) -> tuple[int, dict[str, str], bytes]:
    """Return the same for what HTTP itself refuses, such as a method, and for a defect of ours."""
    body = _members(status, "about:blank", detail, f"http_{status}")
    return status, {"content-type": PROBLEM}, msgspec.json.encode(body)


def _members(status: int, kind: str, detail: str, code: str) -> dict[str, object]:
    title = HTTPStatus(status).phrase
    return {"type": kind, "title": title, "status": status, "detail": detail, "code": code}
