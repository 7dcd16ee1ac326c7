"""The served OpenAPI is valid and whole, and nothing that it allows is answered by a crash."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.api.conftest import Service

EXAMPLES = 25
KEPT = ("default", "shop")  # the other calls want something to ask
CALLS = {
    ("post", "/api/fit_model"),
    ("post", "/api/models/{name}/fit"),
    ("get", "/api/forecast/{steps}"),
    ("get", "/api/models/{name}/forecast/{steps}"),
    ("get", "/api/models"),
    ("get", "/api/models/{name}"),
    ("delete", "/api/models/{name}"),
    ("get", "/api/models/{name}/versions"),
    ("get", "/api/models/{name}/versions/{version}"),
    ("post", "/api/models/{name}/rollback"),
    ("get", "/api/fits"),
    ("get", "/api/fits/{fit_id}"),
    ("post", "/api/fits/{fit_id}/retry"),
    ("delete", "/api/fits/{fit_id}"),
    ("get", "/health"),
    ("get", "/ready"),
    ("get", "/metrics"),
}


@pytest.fixture(scope="session")
def document(service: Service) -> dict[str, Any]:
    with urllib.request.urlopen(f"{service.url}/openapi.json", timeout=30) as answer:
        return dict(json.load(answer))


@pytest.fixture(scope="session")
def api_schema(service: Service) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


def test_the_document_is_valid_openapi(api_schema: schemathesis.BaseSchema) -> None:
    api_schema.validate()


def test_every_call_is_documented_with_its_refusals(document: dict[str, Any]) -> None:
    calls = {(m, path) for path, methods in document["paths"].items() for m in methods}
    assert calls == CALLS
    for method, path in calls:
        if path.startswith("/api"):
            described = document["paths"][path][method]
            assert described.get("description") or described.get("summary")
            assert {"400", "401", "503"} <= described["responses"].keys(), (method, path)


def test_forecasts_are_documented_with_all_that_can_be_asked(document: dict[str, Any]) -> None:
    for path in ("/api/forecast/{steps}", "/api/models/{name}/forecast/{steps}"):
        described = document["paths"][path]["get"]
        names = {parameter["name"] for parameter in described["parameters"]}
        asked = {"steps", "level", "timestamps", "version", "include", "X-Min-Model-Version"}
        assert asked <= names
        assert "example" in described["responses"]["200"]["content"]["application/json"]


@pytest.mark.parametrize(("method", "path"), sorted(CALLS))
def test_nothing_that_the_document_allows_crashes_the_service(
    api_schema: schemathesis.BaseSchema, method: str, path: str
) -> None:
    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(api_schema[path][method].as_strategy())
    def call(case: schemathesis.Case[Any]) -> None:
        check(case)

    call()


def check(case: schemathesis.Case[Any]) -> None:
    """Make a call, and hold its answer to what every answer must be."""
    if case.method.upper() == "DELETE" and case.path_parameters.get("name") in KEPT:
        return
    if case.method.upper() == "POST" and case.path.endswith(("fit", "fit_model")):
        case.query = {**(case.query or {}), "async": "true"}  # nobody waits for these fits
    response = case.call(timeout=30)
    kind = response.headers.get("content-type", [""])[0]
    problem = kind.startswith("application/problem+json")
    assert response.headers.get("x-request-id")
    if response.status_code == 503 and problem:
        # To wait in vain for a version that does not exist yet is an answer, with a time.
        assert response.json()["code"] == "unavailable"
        assert response.headers.get("retry-after")
    else:
        assert response.status_code < 500, response.text
        assert response.status_code < 400 or problem, response.text


def test_the_service_is_as_well_afterwards_as_before(service: Service) -> None:
    deadline = time.monotonic() + 20
    while True:
        with urllib.request.urlopen(f"{service.url}/api/forecast/4", timeout=30) as answer:
            assert len(json.load(answer)["data"]) == 4
        with urllib.request.urlopen(f"{service.url}/ready", timeout=30) as answer:
            told = json.load(answer)
        if told["status"] == "ready":
            return
        assert time.monotonic() < deadline, told
        time.sleep(0.2)
