"""What `/docs` shows: bodies, answers and examples of every route."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse

from tally.forecast.families import AUTO, DEFAULT, FAMILIES

_PROBLEM = {
    "description": "Refused, with a sentence that names the field and the value",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "code": {"type": "string"},
                    "field": {"type": "string"},
                },
                "required": ["type", "title", "status", "detail", "code"],
            },
            "example": {
                "type": "urn:tally:problem:invalid_input",
                "title": "Bad Request",
                "status": 400,
                "detail": "data[2]: Expected `float`, got `str`",
                "code": "invalid_input",
                "field": "data[2]",
            },
        }
    },
}

_FIT_EXAMPLE = {
    "fit": "5b0f1d6c7a7b4b8f9c3e2a1d0f9e8c7b.0123456789abcdef",
    "model": "default",
    "state": "SERVED",
    "algorithm": "harmonic_ar",
    "values": 3650,
    "attempts": 1,
    "who": "anonymous",
    "version": 1,
}

_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["data"],
                "additionalProperties": False,
                "properties": {
                    "data": {
                        "type": "array",
                        "items": {"type": "number"},
                        "minItems": 1,
                        "description": "The values, equally spaced in time, oldest first.",
                    },
                    "timestamps": {
                        "type": "array",
                        "items": {"type": ["string", "number"]},
                        "description": "One for each value: ISO 8601, or seconds since 1970.",
                    },
                    "start": {"type": ["string", "number"]},
                    "frequency": {"type": "string", "examples": ["D", "15min", "P1M"]},
                    "algorithm": {
                        "type": "string",
                        "enum": [AUTO, *FAMILIES],
                        "description": "\n".join(
                            f"{family.name}: {family.doc}" for family in FAMILIES.values()
                        ),
                        "default": DEFAULT,
                    },
                    "period": {"type": "integer", "minimum": 1},
                    "options": {
                        "type": "object",
                        "additionalProperties": {"type": ["boolean", "number", "string"]},
                    },
                    "min_skill": {
                        "type": "number",
                        "exclusiveMaximum": 1,
                        "description": "Serve it only if its backtest error is smaller by so "
                        "much than that of the version being served.",
                    },
                },
            },
            "example": {"data": [20.7, 17.9, 18.8, 14.6], "start": "1981-01-01", "frequency": "D"},
        }
    },
}


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return dict.fromkeys((*statuses, 400, 401, 503), _PROBLEM)


def _refused(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    return {status: {**_PROBLEM, "description": description}}


def _ok(description: str, example: object, status: int = 200) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "description": description,
            "content": {"application/json": {"example": example}},
        }
    }


FIT: dict[str, Any] = {
    "status_code": 201,
    "responses": _ok("Stored and served", _FIT_EXAMPLE, 201)
    | _ok("Superseded by a newer request", {**_FIT_EXAMPLE, "state": "SUPERSEDED"})
    | _ok("Accepted; ask at `Location` how it goes", {**_FIT_EXAMPLE, "state": "QUEUED"}, 202)
    | _answers(413)
    | _refused(409, "It ended REJECTED by its own `min_skill`, or CANCELLED; `fit`, `url`, `state`")
    | _refused(
        422,
        "It ended FAILED: the reason, and `fit`, `url` and `state` to go on from; or the "
        "`Idempotency-Key` was used with another body",
    ),
    "openapi_extra": {
        "requestBody": _BODY,
        "parameters": [
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
            {
                "name": "Prefer",
                "in": "header",
                "description": "`respond-async` for 202 at once; `wait=N` for 202 after N seconds "
                "(RFC 7240). What is longer than the broker's own patience is cut to that.",
                "schema": {"type": "string"},
            },
        ],
    },
}
FITS: dict[str, Any] = {"responses": _ok("Fits", {"fits": [_FIT_EXAMPLE]}) | _answers(404)}
ONE_FIT: dict[str, Any] = {"responses": _ok("The fit", _FIT_EXAMPLE) | _answers(404)}
RETRY: dict[str, Any] = {
    "status_code": 202,
    "responses": _ok("Queued", {**_FIT_EXAMPLE, "state": "QUEUED"}, 202) | _answers(404, 409),
}
CANCEL: dict[str, Any] = {
    "responses": _ok("Cancelled", {**_FIT_EXAMPLE, "state": "CANCELLED"}) | _answers(404, 409)
}

_MODEL = {"name": "default", "version": 2, "previous": 1, "generation": 2}
_VERSION = {"version": 2, "state": "PUBLISHED", "serving": True, "algorithm": "harmonic_ar"}

MODELS: dict[str, Any] = {"responses": _ok("Models", {"models": [_MODEL]}) | _answers()}
MODEL: dict[str, Any] = {"responses": _ok("The model", _MODEL) | _answers(404)}
VERSIONS: dict[str, Any] = {"responses": _ok("Versions", {"versions": [_VERSION]}) | _answers(404)}
VERSION: dict[str, Any] = {"responses": _ok("The version", _VERSION) | _answers(404)}
ROLLBACK: dict[str, Any] = {
    "responses": _ok("Served again", _MODEL)
    | _ok("Decided; no worker serves it yet", _MODEL, 202)
    | _answers(404, 409)
}
DELETE: dict[str, Any] = {"responses": _answers(404)}

FORECAST: dict[str, Any] = {
    "responses": _ok(
        "The forecast; `X-Model-Version` names the version that made it",
        {"data": [13.57, 14.29], "lower": {"80": [10.54, 10.85]}, "upper": {"80": [16.6, 17.74]}},
    )
    | _answers(404, 422)
    | _refused(409, "The version wanted at least was rolled back"),
    "openapi_extra": {
        "parameters": [
            {
                "name": "X-Min-Model-Version",
                "in": "header",
                "description": "Wait for a version at least as new; 409 at once if that was "
                "rolled back.",
                "schema": {"type": "integer"},
            }
        ]
    },
}

_READY = {"status": "ready", "degraded": [], "parts": {"store": "ok", "workers": "ok"}}

HEALTH: dict[str, Any] = {"responses": _ok("The process lives", {"status": "alive"})}
READY: dict[str, Any] = {
    "responses": _ok("It answers; `degraded` names the parts that are missing", _READY)
    | _ok("It can answer nothing", {**_READY, "status": "unable", "degraded": ["store"]}, 503)
}
METRICS: dict[str, Any] = {
    "response_class": PlainTextResponse,
    "responses": {200: {"description": "The text format of Prometheus"}},
}


def schema(api: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    if api.openapi_schema is None:
        made = get_openapi(
            title=api.title, version=api.version, description=api.description, routes=api.routes
        )
        components = made.setdefault("components", {})
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, calls in made["paths"].items():
            for call in calls.values():
                _correct(call, api_call=path.startswith("/api/"))
        components.pop("schemas", None)
        api.openapi_schema = made
    return api.openapi_schema


def _correct(call: dict[str, Any], *, api_call: bool) -> None:
    """Have the description of a call say what this service does, where the framework differs."""
    refused = call["responses"].get("422", {}).get("content", {}).get("application/json", {})
    if "$ref" in refused.get("schema", {}):
        del call["responses"]["422"]  # what the framework refuses is a 400 here, as a problem
        call["responses"].setdefault("400", _PROBLEM)
    if api_call:
        # An empty requirement: on loopback no token is needed.
        call["security"] = [{"token": []}, {}]
