"""Answers that are kept."""

from __future__ import annotations

import aiohttp

from broker.routing.cache import Answer, Cache
from broker.routing.forward import Forwarder
from tally.clock import SystemClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.ledger import Ledger
from tally.routing.follow import Follower
from tests.unit.broker.acts import (
    seen,
)
from tests.unit.broker.forwarding import TOKEN, ScriptedWorker, ask, register, served


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
