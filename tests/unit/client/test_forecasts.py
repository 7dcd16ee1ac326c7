from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tally.client.errors import ServerAway, ServerRefused
from tally.client.forecasts import ForecastClient


class ScriptedBroker:
    """A real HTTP server that answers as it is told.

    Attributes:
        answers: status and body; the last is given for ever.
        asked: method and raw path of each request.
        url: of the server.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, str]] = [(200, "{}")]
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.tokens.append(request.headers.get("Authorization"))
        status, body = self.answers[0]
        if len(self.answers) > 1:
            self.answers.pop(0)
        return web.Response(status=status, text=body)


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    made = ScriptedBroker()
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    await runner.cleanup()


@pytest.fixture
async def client(broker: ScriptedBroker) -> AsyncIterator[ForecastClient]:
    async with ForecastClient(broker.url, token="secret") as made:
        yield made


async def test_a_question_is_asked_as_the_api_wants_it(
    client: ForecastClient, broker: ScriptedBroker
) -> None:
    broker.answers = [(200, '{"data": [1.0], "version": 3}')]
    told = await client.forecast("shop", 7, levels=(80, 99.5), timestamps=True, version=3)
    assert told["data"] == [1.0]
    path = "/api/models/shop/forecast/7?include=version&level=80,99.5&timestamps=true&version=3"
    assert broker.asked == [f"GET {path}"]
    assert broker.tokens == ["Bearer secret"]


async def test_a_name_cannot_lead_to_another_path(
    client: ForecastClient, broker: ScriptedBroker
) -> None:
    await client.model("../fits")
    assert broker.asked == ["GET /api/models/..%2Ffits"]


def a_fit(state: str) -> tuple[int, str]:
    return 200, json.dumps({"state": state, "model": "m", "version": 2})


async def test_a_fit_is_followed_until_it_has_ended(
    client: ForecastClient, broker: ScriptedBroker
) -> None:
    under_way = [a_fit(state) for state in ("QUEUED", "RUNNING", "STORED", "PUBLISHED")]
    broker.answers = [*under_way, a_fit("SERVED")]
    assert (await client.wait("f", every_s=0))["state"] == "SERVED"
    assert len(broker.asked) == 5


async def test_a_published_fit_that_another_has_replaced_is_not_waited_for(
    client: ForecastClient, broker: ScriptedBroker
) -> None:
    broker.answers = [a_fit("PUBLISHED"), a_fit("SUPERSEDED")]
    assert (await client.wait("f", every_s=0))["state"] == "SUPERSEDED"


async def test_a_problem_is_told_in_the_servers_own_sentence(
    client: ForecastClient, broker: ScriptedBroker
) -> None:
    broker.answers = [(400, '{"detail": "steps: 0 is too few", "code": "invalid_input"}')]
    with pytest.raises(ServerRefused, match=r"^steps: 0 is too few$") as caught:
        await client.forecast("m", 0)
    assert caught.value.status == 400
    assert caught.value.problem["code"] == "invalid_input"


async def test_an_answer_that_is_not_json_is_a_refusal_and_no_crash(
    client: ForecastClient, broker: ScriptedBroker
) -> None:
    broker.answers = [(502, "<html>Bad Gateway</html>")]
    with pytest.raises(ServerRefused, match="answered 502, not JSON"):
        await client.models()


async def test_nobody_at_the_address_is_told_as_that() -> None:
    async with ForecastClient("http://127.0.0.1:9") as client:
        with pytest.raises(ServerAway, match=r"no answer from http://127\.0\.0\.1:9"):
            await client.models()
