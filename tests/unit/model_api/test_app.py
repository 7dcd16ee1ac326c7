from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from model_api.app import WorkerApp
from model_api.live import Live
from tally.clock import ManualClock
from tally.errors import AlgorithmUnavailable, CorruptState
from tally.http_server import Scope
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.wire.messages import forecast_path
from tests.unit.model_api.acts import Troubled, blob_of, publish

TOKEN = "t0ken"


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    app: WorkerApp

    async def get(self, url: str, *, token: str | None = TOKEN, method: str = "GET") -> Reply:
        path, _, query = url.partition("?")
        headers = [(b"authorization", f"Bearer {token}".encode())] if token is not None else []
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": headers,
        }
        reply = Reply()

        async def receive() -> dict[str, Any]:
            raise AssertionError("nothing is read of a GET")

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            else:
                reply.body += message["body"]

        await self.app(scope, receive, send)
        assert int(reply.headers["content-length"]) == len(reply.body)
        return reply


@pytest.fixture
def wrong() -> dict[str, str]:
    return {}


@pytest.fixture
def client(ledger: Ledger, clock: ManualClock, wrong: dict[str, str]) -> Client:
    live = Live(ledger, clock, grace_s=1, extra=4, changed=lambda: None)
    return Client(WorkerApp(live, TOKEN, lambda: wrong))


async def test_a_forecast_names_its_version_and_holds_what_was_asked(
    client: Client, ledger: Ledger
) -> None:
    model = (await publish(ledger, level=50.0)).model
    plain = await client.get(forecast_path(model, 1, 12))
    assert plain.status == 200
    assert plain.headers["x-model-version"] == "1"
    assert plain.headers["content-type"] == "application/json"
    assert list(plain.json) == ["data"]
    assert len(plain.json["data"]) == 12
    assert all(45 < value < 55 for value in plain.json["data"])

    wide = await client.get(forecast_path(model, 1, 12, levels=(80, 99.5), include_version=True))
    told = wide.json
    assert told["version"] == 1
    assert told["data"] == plain.json["data"]
    assert set(told["lower"]) == set(told["upper"]) == {"80", "99.5"}
    for low, mean, high in zip(told["lower"]["80"], told["data"], told["upper"]["80"], strict=True):
        assert low < mean < high


async def test_dates_are_given_where_the_fit_had_them_and_refused_where_not(
    client: Client, ledger: Ledger
) -> None:
    dated = await publish(ledger, "dated", start="2024-01-31", frequency="D")
    reply = await client.get(forecast_path(dated.model, 1, 2, timestamps=True))
    assert len(reply.json["timestamps"]) == 2
    # 96 values from the 31st of January on.
    assert str(reply.json["timestamps"][0]).startswith("2024-05-06")

    plain = (await publish(ledger, "plain")).model
    refused = await client.get(forecast_path(plain, 1, 2, timestamps=True))
    assert refused.status == 400
    assert refused.body.startswith(b"timestamps: ")


async def test_a_long_forecast_is_the_short_one_and_more(client: Client, ledger: Ledger) -> None:
    model = (await publish(ledger)).model
    short = (await client.get(forecast_path(model, 1, 100))).json["data"]
    long = (await client.get(forecast_path(model, 1, 100_000))).json["data"]
    assert len(long) == 100_000
    assert long[:100] == short


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x"])
async def test_nobody_but_a_broker_gets_a_forecast_or_metrics(
    client: Client, ledger: Ledger, token: str | None
) -> None:
    model = (await publish(ledger)).model
    for path in (forecast_path(model, 1, 3), "/metrics", "/anything"):
        reply = await client.get(path, token=token)
        assert (reply.status, b"data" in reply.body) == (401, False)
    assert (await client.get("/health", token=token)).status == 200


async def test_what_is_not_there_is_not_found(client: Client, ledger: Ledger) -> None:
    model = (await publish(ledger)).model
    assert (await client.get(forecast_path(model, 2, 3))).status == 404
    assert (await client.get(forecast_path(ModelUuid("0" * 32), 1, 3))).status == 404
    assert (await client.get("/internal/models/short/versions/1/forecast/3")).status == 404
    assert (await client.get(forecast_path(model, 1, 3), method="POST")).status == 405


@pytest.mark.parametrize(
    ("steps", "query", "field"),
    [
        ("0", "", b"steps"),
        ("999999999", "", b"steps"),
        ("3", "?level=abc", b"level"),
        ("3", "?level=80,100", b"level"),
        ("3", "?level=nan", b"level"),
        ("3", "?level=-1", b"level"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_with_its_field(
    client: Client, ledger: Ledger, steps: str, query: str, field: bytes
) -> None:
    model = (await publish(ledger)).model
    reply = await client.get(f"/internal/models/{model}/versions/1/forecast/{steps}{query}")
    assert reply.status == 400
    assert reply.body.startswith(field + b": ")


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (CorruptState("the digest differs"), 409),
        (AlgorithmUnavailable("algorithm", "prophet is not installed"), 409),
        (b"no model", 409),
    ],
)
async def test_a_version_that_this_worker_cannot_load_sends_the_broker_to_the_next(
    client: Client, ledger: Ledger, store: Troubled, trouble: bytes | Exception, status: int
) -> None:
    model = (await publish(ledger)).model
    store.broken[await blob_of(ledger, model, 1)] = trouble
    assert (await client.get(forecast_path(model, 1, 3))).status == status


async def test_while_the_store_is_away_only_what_is_loaded_is_answered(
    client: Client, ledger: Ledger, store: Troubled
) -> None:
    model = (await publish(ledger)).model
    await publish(ledger)
    before = await client.get(forecast_path(model, 1, 3))
    store.away = True
    assert (await client.get(forecast_path(model, 2, 3))).status == 503
    assert (await client.get(forecast_path(model, 1, 3))).body == before.body


async def test_ready_says_what_is_wrong(client: Client, wrong: dict[str, str]) -> None:
    assert (await client.get("/ready", token=None)).status == 200
    wrong["coordination"] = "out of reach"
    refused = await client.get("/ready", token=None)
    assert (refused.status, refused.body) == (503, b"coordination: out of reach")


async def test_metrics_count_answers_by_status(client: Client, ledger: Ledger) -> None:
    model = (await publish(ledger)).model
    await client.get(forecast_path(model, 1, 3))
    await client.get(forecast_path(model, 7, 3))
    text = (await client.get("/metrics")).body.decode()
    assert 'tally_worker_forecasts_total{status="200"}' in text
    assert 'tally_worker_forecasts_total{status="404"}' in text
    assert "tally_worker_versions 1.0" in text
