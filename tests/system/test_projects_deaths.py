"""16 learners while homes are killed and stopped: what was acknowledged is counted exactly once.

What was not acknowledged is counted once or not at all, and no answer is older than an
acknowledgement that came before the question.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from tally.wire.projects import NOT_HOME
from tests.system.cluster import Cluster
from tests.system.process import until
from tests.system.projects import Customer, Housed, Learner, learners, start_workers

if TYPE_CHECKING:
    pass

_LEARNERS = 16
_PID = "stream"
_LOCKED_S = 8.0

Blow = Callable[[Customer], Awaitable[None]]


@pytest.fixture
def cluster(cluster_over_each_store: Cluster) -> Cluster:
    return cluster_over_each_store


async def _kill(customer: Customer) -> None:
    """SIGKILL the home; it starts again at once, with the same name and an empty memory."""
    home = (await customer.project(_PID)).home
    home.kill()
    home.start()


async def _pause(customer: Customer) -> None:
    """SIGSTOP the home until another has taken over; then it goes on as if nothing had been.

    It has the old state in its memory, and may have half of a commit done: the first thing that
    it is asked must not be answered from there.
    """
    before = await customer.project(_PID)
    before.home.pause()
    try:
        taken = await _taken_over(customer, before)
    finally:
        before.home.resume()
    if taken is None:
        return
    if await customer.ask(before.home, before.uuid, "info") != NOT_HOME:
        # A broker that could not reach the other one has had it take the project back.
        assert (await customer.project(_PID)).epoch > taken.epoch


async def _taken_over(customer: Customer, before: Housed) -> Housed | None:
    """Return the new home; None: the old one was stopped while it had the embedded store's lock.

    Then nobody can write before it goes on.
    """
    embedded = customer.cluster.settings().store().startswith("sqlite:")
    end = time.monotonic() + (_LOCKED_S if embedded else 60)
    while (now := await customer.project(_PID)).home is before.home:
        if time.monotonic() > end:
            assert embedded, "no other worker has become the home"
            return None
        await asyncio.sleep(0.05)
    return now


async def test_a_home_that_slept_through_a_takeover_tells_nothing_old(cluster: Cluster) -> None:
    """It has nothing under way whose failure would tell it: only asking the store does."""
    cluster.broker()
    start_workers(cluster, 2)
    await cluster.ready()
    async with Customer.registered(cluster) as customer:
        await customer.create(_PID)
        learner = Learner(customer, _PID, 0, True, cluster.alive("broker"))
        await learner.work(1)
        before = await customer.project(_PID)
        before.home.pause()
        try:
            await learner.work(2)  # the first again, which counts no more, and another
            taken = await customer.project(_PID)
        finally:
            before.home.resume()
        assert taken.home is not before.home
        assert await customer.ask(before.home, before.uuid, "info") == NOT_HOME
        await learner.check(2)


async def _learn_through(cluster: Cluster, blow: Blow, blows: int, batches: int) -> None:
    """Have 16 learners work while their project's home takes blows, and count in the end."""
    for _ in range(2):
        cluster.broker()
    start_workers(cluster, 2)
    await cluster.ready()
    async with Customer.registered(cluster) as customer:
        await customer.create(_PID)
        await _work(customer, blow, blows, batches)


async def _work(customer: Customer, blow: Blow, blows: int, batches: int) -> None:
    chance = random.Random(blows)
    crowd = learners(customer, _PID, _LEARNERS)
    working = asyncio.gather(*(learner.work(batches) for learner in crowd))
    try:
        for number in range(1, blows + 1):
            await _reached(crowd, batches * number // (blows + 1), working)
            # The moment is what this test draws; nothing waits for it.
            await asyncio.wait({working}, timeout=chance.uniform(0, 0.1))
            await blow(customer)
        await working
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    for learner in crowd:
        await learner.check(batches)
    told = sum(len(learner.acknowledged) for learner in crowd)
    assert told >= _LEARNERS * batches // 2, f"only {told} batches were acknowledged"


async def _reached(crowd: list[Learner], batch: int, working: asyncio.Future[list[None]]) -> None:
    async def there() -> bool:
        sent = sorted(len(learner.acknowledged) + len(learner.open) for learner in crowd)
        return working.done() or sent[len(sent) // 2] >= batch

    await until(there, f"half of the learners have come to batch {batch}", deadline_s=120)


@pytest.mark.parametrize("blow", [_kill, _pause], ids=["killed", "stopped"])
@pytest.mark.timeout(180)
async def test_16_learners_are_counted_exactly_once_while_their_home_is(
    cluster: Cluster, blow: Blow
) -> None:
    await _learn_through(cluster, blow, blows=2, batches=24)


@pytest.mark.slow
@pytest.mark.parametrize("blow", [_kill, _pause], ids=["killed", "stopped"])
@pytest.mark.timeout(3600)
async def test_16_learners_are_counted_exactly_once_while_their_home_is_again_and_again(
    cluster: Cluster, blow: Blow
) -> None:
    await _learn_through(cluster, blow, blows=60, batches=1200)
