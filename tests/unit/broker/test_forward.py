from __future__ import annotations

import asyncio
import time

import pytest

from broker.routing.cache import Answer
from broker.routing.forward import Forwarder
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import FitFailed, InvalidInput, NotFound, Unavailable
from tally.ledger import Ledger
from tally.routing.follow import Follower
from tests.unit.broker.acts import (
    announcement,
    seen,
)
from tests.unit.broker.forwarding import TOKEN, WAIT_S, ScriptedWorker, ask, register
from tests.unit.ledger.acts import publish


async def test_a_question_names_model_version_and_request_and_shows_the_token(
    forwarder: Forwarder, workers: list[ScriptedWorker]
) -> None:
    answer = await ask(forwarder, levels=(80.0, 95.0), timestamps=True)
    assert answer == Answer(1, b'{"data":[1.0]}')
    (asked,) = workers[0].asked + workers[1].asked
    path = f"/internal/models/{'0a' * 16}/versions/1/forecast/3"
    assert asked == f"{path}?level=80,95&timestamps=true"
    (headers,) = workers[0].headers + workers[1].headers
    assert headers["X-Request-Id"] == "r-1"
    assert headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("refusal", [(409, b"loading", "0"), (503, b"away", "0"), (500, b"", "0")])
async def test_a_worker_that_cannot_answer_now_is_passed_over(
    forwarder: Forwarder, workers: list[ScriptedWorker], refusal: tuple[int, bytes, str]
) -> None:
    workers[0].answers = [refusal]
    for _ in range(8):
        assert (await ask(forwarder)).version == 1
    assert len(workers[1].asked) == 8


async def test_a_worker_that_refuses_connections_is_passed_over(
    forwarder: Forwarder,
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    workers: list[ScriptedWorker],
) -> None:
    await register(coordinator, 1)
    await seen(follower, lambda: len(follower.table.nodes) == 3)
    for _ in range(8):
        assert (await ask(forwarder)).version == 1


async def test_all_workers_refusing_is_unavailable_after_the_deadline_with_the_reason(
    forwarder: Forwarder, workers: list[ScriptedWorker]
) -> None:
    for worker in workers:
        worker.answers = [(409, b"version 1 is loading", "0")]
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"within 0\.4 s: version 1 is loading") as caught:
        await ask(forwarder)
    assert caught.value.retry_after_s >= 1
    assert WAIT_S <= time.monotonic() - began < WAIT_S + 2
    assert len(workers[0].asked) > 1


async def test_a_worker_that_comes_within_the_deadline_answers(
    forwarder: Forwarder, workers: list[ScriptedWorker]
) -> None:
    for worker in workers:
        worker.answers = [(503, b"away", "0"), (200, b"{}", "1")]
    assert (await ask(forwarder)).body == b"{}"


async def test_a_question_waits_for_the_first_worker(
    forwarder: Forwarder,
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    workers: list[ScriptedWorker],
) -> None:
    for worker in workers:
        await coordinator.delete(f"nodes/127.0.0.1_{worker.port}")
    await coordinator.put("models/m/version", announcement(1))
    await seen(follower, lambda: "m" in follower.table.heads and not follower.table.nodes)
    waiting = asyncio.create_task(ask(forwarder))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await register(coordinator, workers[0].port)
    assert (await waiting).version == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (400, b"timestamps: fitted without", InvalidInput, "^timestamps: fitted without$"),
        (400, b"odd", InvalidInput, "^forecast: odd$"),
        (422, b"the forecast leaves the range", FitFailed, "leaves the range"),
    ],
)
async def test_a_question_that_no_worker_can_answer_is_refused_at_once(
    forwarder: Forwarder,
    workers: list[ScriptedWorker],
    status: int,
    body: bytes,
    kind: type[Exception],
    sentence: str,
) -> None:
    for worker in workers:
        worker.answers = [(status, body, "0")]
    with pytest.raises(kind, match=sentence):
        await ask(forwarder)
    assert len(workers[0].asked) + len(workers[1].asked) == 1


async def test_a_worker_that_hangs_leaves_time_to_ask_another(
    forwarder: Forwarder, workers: list[ScriptedWorker]
) -> None:
    workers[0].gate.clear()
    try:
        for _ in range(4):
            assert (await ask(forwarder)).version == 1
    finally:
        workers[0].gate.set()


async def test_a_model_that_nobody_made_is_not_found(forwarder: Forwarder) -> None:
    with pytest.raises(NotFound, match="no model named 'm'"):
        await ask(forwarder)


async def test_a_model_whose_first_fit_has_not_ended_is_not_found_and_says_so(
    forwarder: Forwarder, ledger: Ledger
) -> None:
    await ledger.names.claim("m", "ann")
    with pytest.raises(NotFound, match="first fit has not ended"):
        await ask(forwarder)


async def test_a_model_with_a_version_and_no_worker_is_unavailable(
    forwarder: Forwarder, ledger: Ledger
) -> None:
    await publish(ledger, "m")
    with pytest.raises(Unavailable, match="no worker serves it yet"):
        await ask(forwarder)
