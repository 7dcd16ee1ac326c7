"""What a broker does around a call: waits, repeats, names, metrics, logs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import structlog
from prometheus_client import generate_latest

from broker.edge.symetry import handlers
from broker.edge.symetry.wiring import Closed
from broker.metrics import REGISTRY
from tally.http_server import HttpServer, Receive, Scope, Send
from tally.wire.contexts import MLContext, parse_ml_context
from tests.unit.broker.symetry.edge import KEY, SignedEdge, ask, signed_edge

LEARN = "projects/irisTest/learn"


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[SignedEdge]:
    async with signed_edge(tmp_path, project_wait_s=0.3, job_wait_s=0.3) as made:
        yield made


async def test_a_change_whose_outcome_is_unknown_names_the_key_to_repeat_it_with(
    edge: SignedEdge,
) -> None:
    edge.answer = (503, b'{"text":"the store is away"}')
    status, headers, told = await ask(edge, "POST", LEARN, body=b"{}")
    assert (status, told["statusCode"]) == (503, "SERVICE_UNAVAILABLE")
    assert headers["Retry-After"] == "1"
    assert "the store is away" in told["statusString"]
    key = told["statusString"].partition("Idempotency-Key: ")[2].split()[0]
    # All of the broker's own attempts were made with it.
    assert {headers["X-Batch-Id"] for headers in edge.headers} == {key}
    assert len(edge.headers) > 1

    edge.answer = (200, b"{}")
    again = {"Idempotency-Key": key}
    assert (await ask(edge, "POST", LEARN, body=b"{}", headers=again))[0] == 200
    assert edge.headers[-1]["X-Batch-Id"] == key


async def test_a_question_that_cannot_be_asked_names_no_key(edge: SignedEdge) -> None:
    edge.answer = (503, b'{"text":"the store is away"}')
    status, _, told = await ask(edge, "GET", "projects/irisTest/info")
    assert status == 503
    assert "Idempotency-Key" not in told["statusString"]


async def test_the_clients_key_name_and_form_of_the_body_come_to_the_home(
    edge: SignedEdge,
) -> None:
    given = {
        "Idempotency-Key": "mine",
        "sym-client": "notebook",
        "Content-Type": "text/csv",
        "Content-Encoding": "gzip",
        "X-Request-Id": "r-77",
    }
    query = "ERRORHANDLING=1&attributeTypes=CB&other=x"
    await ask(edge, "POST", LEARN, query=query, body=b"rows", headers=given)
    (headers,) = edge.headers
    wanted = {
        "X-Batch-Id": "mine",
        "X-Sym-Client": "notebook",
        "Content-Type": "text/csv",
        "Content-Encoding": "gzip",
        "Authorization": "Bearer token",
    }
    assert {name: headers[name] for name in wanted} == wanted
    ((path, body),) = edge.asked
    assert path.endswith("/learn?attributeTypes=CB&errorHandling=1")
    assert body == b"rows"


async def test_a_project_that_its_home_does_not_know_any_more_is_unknown(edge: SignedEdge) -> None:
    edge.answer = (404, b'{"text":"gone"}')
    _, _, told = await ask(edge, "GET", "projects/irisTest/info")
    assert told["statusString"] == "Cannot Find SYMETRYML id[irisTest] for Customer id [c1]"


@pytest.mark.parametrize("verb", ["vif", "explorepca", "exploresvd", "exploresvdfs", "build"])
async def test_what_the_home_refuses_beforehand_is_no_job(edge: SignedEdge, verb: str) -> None:
    edge.answer = (400, b'{"text":"Unknown attribute [9]"}')
    status, headers, told = await ask(edge, "POST", f"projects/irisTest/{verb}", body=b"{}")
    assert (status, told["statusString"]) == (400, "Unknown attribute [9]")
    assert "sym-job-id" not in headers
    ((path, body),) = edge.asked
    assert path.endswith(f"/{verb}Check")
    assert body == b"{}"
    assert (await ask(edge, "GET", "jobs"))[2]["values"]["jobInfoList"]["values"] == []


@pytest.mark.parametrize(("spaces", "inline"), [(0, True), (100_000, False)])
async def test_the_question_of_a_drift_is_read_beside_the_event_loop_if_it_is_large(
    edge: SignedEdge, monkeypatch: pytest.MonkeyPatch, spaces: int, inline: bool
) -> None:
    threads = []

    def parse(body: bytes) -> MLContext:
        threads.append(threading.current_thread() is threading.main_thread())
        return parse_ml_context(body)

    monkeypatch.setattr(handlers, "parse_ml_context", parse)
    body = b"{}" + b" " * spaces
    status, _, told = await ask(edge, "POST", "projects/dataDrift", body=body)
    assert (status, told["statusString"]) == (
        400,
        "Missing parameter [driftPreferenceProjectName]",
    )
    assert threads == [inline]


async def test_a_job_names_its_url_by_the_host_that_was_asked(edge: SignedEdge) -> None:
    edge.answer = (200, b'{"KSVSMap":{"values":[{}]}}')
    host = {"Host": "Models.Example:8080"}
    status, headers, told = await ask(edge, "POST", "projects/irisTest/vif", headers=host)
    assert (status, told["statusString"], told["values"]) == (202, "Job Created", {})
    assert headers["sym-job-id"] == "1"
    assert headers["Location"] == "http://Models.Example:8080/symetry/rest/c1/jobs/1"


async def test_behind_a_proxy_the_public_origin_is_what_counts(tmp_path: Path) -> None:
    async with signed_edge(tmp_path, public_origin="https://models.example/") as edge:
        _, headers, _ = await ask(edge, "POST", "projects/irisTest/vif")
        assert headers["Location"] == "https://models.example/symetry/rest/c1/jobs/1"


async def test_projects_and_metrics_share_no_names(edge: SignedEdge) -> None:
    await ask(edge, "GET", "projects/irisTest/info")
    await ask(edge, "GET", "projects/unheard-of/info")
    await ask(edge, "GET", "secrets/unheard-of")
    told = generate_latest(REGISTRY).decode()
    assert 'route="/symetry/rest/{cid}/projects/{pid}/info",status="400"' in told
    assert 'route="/symetry/rest/?",status="404"' in told
    assert "unheard-of" not in told


async def test_logs_name_the_request_and_tell_no_secret(edge: SignedEdge) -> None:
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        await ask(edge, "POST", LEARN, body=b"private rows", headers={"Idempotency-Key": "k"})
        edge.answer = (500, b"not ours")
        await ask(edge, "POST", LEARN, body=b"private rows")
    told = next(line for line in lines if line["event"] == "request")
    assert (told["request_id"], told["status"]) == ("r-1", 200)
    assert told["path"] == "/symetry/rest/c1/projects/irisTest/learn"
    for secret in ("private rows", KEY.text, "Authorization"):
        assert secret not in str(lines)


async def test_more_bodies_than_there_is_room_for_are_told_to_come_again(tmp_path: Path) -> None:
    async with signed_edge(tmp_path, bodies_bytes=1024) as edge:
        status, headers, told = await ask(edge, "POST", LEARN, body=b"x" * 1025)
        assert (status, told["statusCode"]) == (429, "TOO_MANY_REQUESTS")
        assert headers["Retry-After"] == "1"
        assert (await ask(edge, "POST", LEARN, body=b"x" * 1024))[0] == 200


async def test_a_closed_api_says_what_it_needs() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Closed().answer(scope, receive, send, "r-1")

    server = HttpServer(app, "127.0.0.1", 0, socket_message_bytes=1000)
    running = asyncio.create_task(server.run())
    url = f"http://127.0.0.1:{server.port}/symetry"
    try:
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{url}/rest/c1/projects/list") as response:
                assert response.status == 503
                assert "TALLY_MASTER_KEY" in (await response.json())["statusString"]
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await client.ws_connect(f"{url}/ws/learn")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
