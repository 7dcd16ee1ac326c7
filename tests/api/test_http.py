"""What every client relies on, whatever it calls: ids, problems, and the issue's bad inputs."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.conftest import Service

PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


def call(
    service: Service,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/api/forecast/3", "/api/models", "/api/nowhere", "/health"])
def test_a_clients_request_id_comes_back_and_a_missing_one_is_made(
    service: Service, path: str
) -> None:
    assert call(service, "GET", path, headers={"X-Request-Id": "a-1.b_c"}).headers[
        "x-request-id"
    ] == ("a-1.b_c")
    made = {call(service, "GET", path).headers["x-request-id"] for _ in range(2)}
    assert len(made) == 2


@pytest.mark.parametrize("given", ["a b", "x" * 65, "a;b", ""])
def test_an_id_that_could_spoil_a_log_is_replaced(service: Service, given: str) -> None:
    reply = call(service, "GET", "/api/forecast/3", headers={"X-Request-Id": given})
    assert reply.headers["x-request-id"] not in (given, None)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nowhere", 404),
        ("GET", "/api/forecast/", 404),
        ("POST", "/api/forecast/5", 405),
        ("GET", "/api/fit_model", 405),
        ("PATCH", "/api/models", 405),
        ("GET", "/api/models/unheard-of", 404),
        ("GET", "/api/models/unheard-of/forecast/5", 404),
        ("GET", "/api/models/unheard-of/versions", 404),
        ("POST", "/api/models/unheard-of/rollback?to=1", 404),
        ("DELETE", "/api/models/unheard-of", 404),
        ("GET", "/api/models/shop/versions/99", 404),
        ("GET", "/api/forecast/5?version=99", 404),
        ("GET", "/api/fits/nonsense", 404),
        ("POST", f"/api/fits/{'0' * 32}.{'0' * 16}/retry", 404),
        ("GET", "/api/fits?state=lost", 400),
        ("GET", "/api/fits?limit=0", 400),
        ("POST", "/api/models/shop/rollback", 400),
        ("POST", "/api/models/shop/rollback?to=last", 400),
        ("GET", "/api/forecast/0", 400),
        ("GET", "/api/forecast/-1", 400),
        ("GET", "/api/forecast/1000000000", 400),
        ("GET", "/api/forecast/abc", 400),
        ("GET", "/api/forecast/5?level=101", 400),
        ("GET", "/api/models/%20/forecast/5", 400),
        ("GET", "/api/models/%FF/forecast/5", 400),
    ],
)
def test_every_refusal_is_a_problem_with_a_sentence(
    service: Service, method: str, path: str, status: int
) -> None:
    reply = call(service, method, path)
    assert reply.status == status
    assert reply.headers["content-type"] == PROBLEM
    told = reply.told
    assert told["status"] == status
    assert {"type", "title", "detail", "code"} <= told.keys()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"not json", 400, "body"),
        (b"{}", 400, "body"),
        (b'{"data":[]}', 400, "data"),
        (b'{"data":[1,NaN,2]}', 400, "data[1]"),
        (b'{"data":[1,"two",3]}', 400, "data[1]"),
        (b'{"data":[1,2,3],"period":7}', 400, "data"),
        (b'{"data":[1],"algorithm":"magic"}', 400, "algorithm"),
        (b'{"data":[' + b"1," * 9_999_999 + b"1]}", 413, "data"),
    ],
    ids=["text", "no data", "empty", "nan", "word", "short", "algorithm", "ten million"],
)
def test_a_series_that_cannot_be_fitted_is_refused_by_its_field(
    service: Service, body: bytes, status: int, field: str
) -> None:
    reply = call(service, "POST", "/api/fit_model", body)
    assert reply.status == status
    assert reply.headers["content-type"] == PROBLEM
    assert reply.told["field"] == field


@pytest.mark.parametrize("data", [[5.0] * 30, [1e308] * 30, [1.0]], ids=["5", "1e308", "one"])
def test_series_that_look_odd_are_fitted_and_forecast(service: Service, data: list[float]) -> None:
    fitted = call(service, "POST", "/api/models/odd/fit", json.dumps({"data": data}).encode())
    assert fitted.status == 201, fitted.body
    path = "/api/models/odd/forecast/3?level=80&include=version"
    told = call(
        service, "GET", path, headers={"X-Min-Model-Version": fitted.headers["x-model-version"]}
    ).told
    assert told["data"] == pytest.approx([data[0]] * 3)
    assert told["version"] == fitted.told["version"]


def test_json_is_accepted_under_any_content_type(service: Service) -> None:
    form = {"Content-type": "application/x-www-form-urlencoded"}
    body = b'{"data":[1,2,1,2,1,2,1,2]}'
    assert call(service, "POST", "/api/models/form/fit", body, form).status == 201


def test_an_asynchronous_fit_tells_where_to_ask(service: Service) -> None:
    body = b'{"data":[1,2,1,2,1,2,1,2]}'
    for path, headers in (
        ("/api/models/later/fit?async=true", {}),
        ("/api/models/later/fit", {"Prefer": "respond-async"}),
    ):
        reply = call(service, "POST", path, body, headers)
        assert reply.status == 202
        assert call(service, "GET", reply.headers["location"]).told["fit"] == reply.told["fit"]


def test_a_client_that_prefers_to_wait_for_so_long_waits_no_longer(service: Service) -> None:
    body = b'{"data":[1,2,1,2,1,2,1,2]}'
    path = "/api/models/patient/fit"
    waited = call(service, "POST", path, body, {"Prefer": "respond-async, wait=60"})
    assert (waited.status, waited.told["state"]) == (201, "SERVED")
    assert waited.headers["preference-applied"] == "respond-async, wait=60"
    assert call(service, "POST", path, body, {"Prefer": "wait=0"}).status == 202


def test_a_head_request_has_the_headers_and_no_body(service: Service) -> None:
    reply = call(service, "HEAD", "/api/forecast/3")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 0
    assert reply.headers["x-model-version"]
