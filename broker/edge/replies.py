"""What routes share: who calls, and JSON as msgspec writes it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from fastapi import Request, Response

from broker.services import Services
from tally.ids import FitId
from tally.ledger.names import check_name


def caller(services: Services, request: Request) -> str:
    """Return the caller's name.

    Raises:
        Unauthorized: there is no valid token.
    """
    return services.tokens.who(request.headers.get("authorization"))


def path_model(name: str) -> str:
    """Return the model's name from a path.

    Raises:
        InvalidInput: no model may be called so.
    """
    return check_name(name)


def json_reply(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def fit_url(fit: FitId) -> str:
    """Return where a fit is told of."""
    return f"/api/fits/{fit}"
