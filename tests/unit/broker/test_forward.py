from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from broker.routing.cache import Answer, Cache
from broker.routing.forward import Forwarder, Question
from tally.announce import announce_head
from tally.clock import SystemClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import Conflict, FitFailed, InvalidInput, NotFound, Unavailable
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.routing.follow import Follower
from tally.wire.messages import Serving
from tests.unit.broker.acts import (
    UUID,
    announcement,
    following,
    listening,
    node,
    seen,
    serving_node,
)
from tests.unit.ledger.acts import publish, published

TOKEN = "between us"
WAIT_S = 0.4


class ScriptedWorker:
    """A real HTTP server that answers as it is told; the last answer is given for ever.

    Attributes:
        answers: status, body, and the version that it says made the body.
        asked: path and query of each request.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: list[tuple[int, bytes, str]] = [(200, b'{"data":[1.0]}', "1")]
        self.asked: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.raw_path)
        self.headers.append(request.headers)
        await self.gate.wait()
        status, body, version = self.answers[0]
        if len(self.answers) > 1:
            self.answers.pop(0)
        return web.Response(status=status, body=body, headers={"X-Model-Version": version})


@pytest.fixture
async def follower(coordinator: EmbeddedCoordinator) -> AsyncIterator[Follower]:
    made = Follower(coordinator, SystemClock(), grace_s=0.0)
    async with following(made):
        await seen(made, lambda: made.table.connected)
        yield made


@pytest.fixture
async def forwarder(follower: Follower, ledger: Ledger) -> AsyncIterator[Forwarder]:
    async with aiohttp.ClientSession() as session:
        yield Forwarder(
            follower, ledger, session, TOKEN, SystemClock(), wait_s=WAIT_S, cache_bytes=0
        )


@pytest.fixture
async def workers(
    coordinator: EmbeddedCoordinator, follower: Follower
) -> AsyncIterator[list[ScriptedWorker]]:
    """Give two workers that are registered with version 1."""
    async with AsyncExitStack() as stack:
        started = []
        for _ in range(2):
            worker = ScriptedWorker(0)
            worker.port = await listening(stack, web.Server(worker.answer))
            await register(coordinator, worker.port)
            started.append(worker)
        await seen(follower, lambda: len(follower.table.nodes) == 2)
        yield started


async def register(
    coordinator: EmbeddedCoordinator,
    port: int,
    version: int = 1,
    generation: int | None = None,
    model: ModelUuid = UUID,
) -> None:
    await coordinator.put(f"nodes/127.0.0.1_{port}", node(port, version, generation, model=model))


async def rolled_back(ledger: Ledger, coordinator: EmbeddedCoordinator) -> ModelUuid:
    """Return a model whose head was moved back from version 2 to 1, as is announced."""
    model = await published(ledger, 2)
    await ledger.versions.rollback(model, 1, "ann")
    await announce_head(ledger.versions, coordinator, model)
    return model


async def ask(forwarder: Forwarder, **changes: object) -> Answer:
    question: dict[str, object] = {"name": "m", "steps": 3}
    return await forwarder.ask(Question(**(question | changes)), "r-1")  # type: ignore[arg-type]


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


async def test_an_answer_of_another_version_is_not_believed(
    forwarder: Forwarder, workers: list[ScriptedWorker]
) -> None:
    workers[0].answers = [(200, b'{"data":[9.0]}', "2")]
    for _ in range(8):
        assert (await ask(forwarder)).body == b'{"data":[1.0]}'


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


async def test_once_answered_an_older_generation_never_answers_again(
    forwarder: Forwarder,
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    workers: list[ScriptedWorker],
) -> None:
    new = workers[0]
    new.answers = [(200, b"new", "2")]
    await register(coordinator, new.port, version=2)
    await seen(follower, served(follower, 2))
    assert (await ask(forwarder)).version == 2
    await coordinator.delete(f"nodes/127.0.0.1_{new.port}")
    await seen(follower, lambda: len(follower.table.nodes) == 1)
    with pytest.raises(Unavailable, match="no worker serves it yet"):
        await ask(forwarder)
    assert not workers[1].asked


async def test_while_the_only_holder_of_the_head_is_dead_the_generation_before_answers(
    forwarder: Forwarder,
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    workers: list[ScriptedWorker],
) -> None:
    holder, other = workers
    holder.answers = [(503, b"dying", "0")]
    # As with the store away: nobody else can load the head.
    await register(coordinator, holder.port, version=2)
    await seen(follower, served(follower, 2))
    other.answers = [(503, b"version 2 cannot be loaded", "0"), (200, b"one", "1")]
    assert await ask(forwarder) == Answer(1, b"one")
    # Once the head was answered, what is older never answers again.
    holder.answers = [(200, b"two", "2")]
    assert (await ask(forwarder)).version == 2
    holder.answers = [(503, b"dying", "0")]
    with pytest.raises(Unavailable):
        await ask(forwarder)
    other.asked.clear()
    with pytest.raises(Unavailable):
        await ask(forwarder)
    assert all("/versions/2/" in path for path in other.asked)


async def test_a_worker_that_hangs_leaves_time_to_ask_another(
    forwarder: Forwarder, workers: list[ScriptedWorker]
) -> None:
    workers[0].gate.clear()
    try:
        for _ in range(4):
            assert (await ask(forwarder)).version == 1
    finally:
        workers[0].gate.set()


async def test_a_version_that_was_rolled_back_is_refused_at_once(
    forwarder: Forwarder,
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    ledger: Ledger,
    workers: list[ScriptedWorker],
) -> None:
    model = await rolled_back(ledger, coordinator)
    for worker in workers:
        await register(coordinator, worker.port, version=1, generation=3, model=model)
    await seen(follower, lambda: follower.table.model("m") == model)
    with pytest.raises(Conflict, match="version 2 of model 'm' was rolled back, and version 1"):
        await ask(forwarder, at_least=2)
    # A number that was not given out yet may still come: that is waited for.
    with pytest.raises(Unavailable):
        await ask(forwarder, at_least=3)


async def test_an_announcement_of_a_rollback_that_is_out_of_date_refuses_nothing(
    forwarder: Forwarder,
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    ledger: Ledger,
    workers: list[ScriptedWorker],
) -> None:
    """Another broker may have told a client of what has not come to this one yet."""
    model = await rolled_back(ledger, coordinator)
    await seen(follower, lambda: "m" in follower.table.heads)
    await ledger.versions.rollback(model, 2, "ann")
    for worker in workers:
        worker.answers = [(200, b"two", "2")]
    waiting = asyncio.create_task(ask(forwarder, at_least=2))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    for worker in workers:
        await register(coordinator, worker.port, version=2, generation=4, model=model)
    assert (await waiting).version == 2


async def test_answers_kept_from_before_a_backup_was_restored_are_not_given_any_more(
    follower: Follower,
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    workers: list[ScriptedWorker],
) -> None:
    async with aiohttp.ClientSession() as session:
        forwarder = Forwarder(
            follower, ledger, session, TOKEN, SystemClock(), wait_s=5, cache_bytes=10_000
        )
        for version in (None, 1):
            assert (await ask(forwarder, version=version)).body == b'{"data":[1.0]}'
        for worker in workers:
            worker.asked.clear()
            worker.answers = [(200, b"another version 1", "1")]
        restored = serving_node(workers[0].port, Serving("m", 1, 5, restored=1))
        await coordinator.put(f"nodes/127.0.0.1_{workers[0].port}", restored)
        await seen(follower, lambda: follower.table.restored(UUID) == 1)
        for version in (None, 1):
            assert (await ask(forwarder, version=version)).body == b"another version 1"
    # Named so, no worker answers with what it loaded before.
    (asked,) = workers[0].asked + workers[1].asked
    assert asked.endswith("/versions/1/forecast/3?restored=1")


async def test_a_rollback_is_a_newer_generation_and_answers(
    forwarder: Forwarder,
    follower: Follower,
    coordinator: EmbeddedCoordinator,
    workers: list[ScriptedWorker],
) -> None:
    for worker in workers:
        worker.answers = [(200, b"two", "2"), (200, b"one", "1")]
        await register(coordinator, worker.port, version=2, generation=2)
    await seen(follower, served(follower, 2))
    assert (await ask(forwarder)).version == 2
    for worker in workers:
        worker.answers = [(200, b"one", "1")]
        await register(coordinator, worker.port, version=1, generation=3)
    await seen(follower, served(follower, 1))
    assert (await ask(forwarder)).version == 1


def served(follower: Follower, version: int) -> Callable[[], bool]:
    return lambda: any(
        serving.version == version
        for known in follower.table.nodes.values()
        for serving in known.serving.values()
    )


async def test_a_client_may_wait_for_a_version(
    forwarder: Forwarder, coordinator: EmbeddedCoordinator, workers: list[ScriptedWorker]
) -> None:
    with pytest.raises(Unavailable, match="version 2 is asked for and 1 is served"):
        await ask(forwarder, at_least=2)
    waiting = asyncio.create_task(ask(forwarder, at_least=2))
    await asyncio.sleep(0.02)
    for worker in workers:
        worker.answers = [(200, b"two", "2")]
        await register(coordinator, worker.port, version=2)
    assert (await waiting).version == 2
    assert all("/versions/1/" not in path for worker in workers for path in worker.asked)


async def test_a_version_by_number_is_asked_of_those_who_do_not_serve_it_too(
    forwarder: Forwarder, workers: list[ScriptedWorker]
) -> None:
    workers[0].answers = [(409, b"not here", "0")]
    workers[1].answers = [(200, b"old", "7")]
    assert await ask(forwarder, version=7) == Answer(7, b"old")
    assert all("/versions/7/" in path for worker in workers for path in worker.asked)


async def test_a_version_that_does_not_exist_is_not_found(
    forwarder: Forwarder, workers: list[ScriptedWorker]
) -> None:
    for worker in workers:
        worker.answers = [(404, b"there is no version 7 of this model", "0")]
    with pytest.raises(NotFound, match="model 'm': there is no version 7"):
        await ask(forwarder, version=7)


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


async def test_a_repeated_question_is_answered_from_the_cache_until_the_version_changes(
    follower: Follower,
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    workers: list[ScriptedWorker],
) -> None:
    async with aiohttp.ClientSession() as session:
        forwarder = Forwarder(
            follower, ledger, session, TOKEN, SystemClock(), wait_s=5, cache_bytes=10_000
        )
        for _ in range(5):
            assert (await ask(forwarder)).body == b'{"data":[1.0]}'
        await ask(forwarder, levels=(80.0,))
        assert len(workers[0].asked) + len(workers[1].asked) == 2
        for worker in workers:
            worker.answers = [(200, b"two", "2")]
            await register(coordinator, worker.port, version=2)
        await seen(follower, served(follower, 2))
        assert await ask(forwarder) == Answer(2, b"two")


def test_the_cache_is_bounded_in_bytes_and_drops_what_was_not_used_for_longest() -> None:
    cache = Cache(limit_bytes=1000)
    for number in range(8):
        cache.put(f"{number}", Answer(1, bytes(99)))
    assert cache.size_bytes == 800
    assert cache.get("0") is not None
    for number in range(8, 12):
        cache.put(f"{number:1x}", Answer(1, bytes(99)))
    assert cache.size_bytes <= 1000
    assert cache.get("0") is not None
    assert cache.get("1") is None
    assert cache.size_bytes == sum(len(k) + len(a.body) for k, a in cache.entries.items())


def test_an_answer_that_would_fill_the_cache_is_not_kept() -> None:
    cache = Cache(limit_bytes=1000)
    cache.put("large", Answer(1, bytes(126)))
    assert cache.get("large") is None
    assert cache.size_bytes == 0
