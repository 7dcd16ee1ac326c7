"""Which version answers a forecast, and that no older one does after it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from broker.routing.cache import Answer
from broker.routing.forward import Forwarder
from tally.announce import announce_head
from tally.clock import SystemClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import Conflict, NotFound, Unavailable
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.routing.follow import Follower
from tally.wire.messages import Serving
from tests.unit.broker.acts import (
    UUID,
    seen,
    serving_node,
)
from tests.unit.broker.forwarding import TOKEN, ScriptedWorker, ask, register, served
from tests.unit.ledger.acts import published


async def rolled_back(ledger: Ledger, coordinator: EmbeddedCoordinator) -> ModelUuid:
    """Return a model whose head was moved back from version 2 to 1, as is announced."""
    model = await published(ledger, 2)
    await ledger.versions.rollback(model, 1, "ann")
    await announce_head(ledger.versions, coordinator, model)
    return model


async def test_an_answer_of_another_version_is_not_believed(
    forwarder: Forwarder, workers: list[ScriptedWorker]
) -> None:
    workers[0].answers = [(200, b'{"data":[9.0]}', "2")]
    for _ in range(8):
        assert (await ask(forwarder)).body == b'{"data":[1.0]}'


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
