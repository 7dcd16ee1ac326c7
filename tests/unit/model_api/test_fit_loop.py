from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from model_api.fit_loop import FitLoop
from model_api.services.fit import FitService
from tally.clock import ManualClock
from tally.errors import QueueUnavailable
from tally.fitqueue.base import Ticket
from tally.fitqueue.embedded import EmbeddedQueue, EmbeddedTicket
from tally.ids import FitId
from tally.ledger import Ledger
from tally.ledger.attempts import Claim
from tally.ledger.records import Fit, FitState
from tests.unit.model_api.acts import (
    TRIES,
    Troubled,
    accept,
    claim,
    running,
    store,
    until,
    until_later,
)

REDELIVER_S = 30.0
RENEW_S = 10.0


class Shaky(EmbeddedQueue):
    """A queue that can be out of reach."""

    away = False
    renewals = 0

    def _check(self) -> None:
        if self.away:
            raise QueueUnavailable("the queue is away")

    async def publish(self, fit: FitId, attempt: int) -> None:
        self._check()
        await super().publish(fit, attempt)

    async def take(self, wait_s: float) -> Ticket | None:
        self._check()
        return await super().take(wait_s)

    async def renew(self, ticket: EmbeddedTicket) -> None:
        await super().renew(ticket)
        self.renewals += 1


class Service:
    """Carries a claim out as a test says, on the real ledger but without computing anything."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.worked: list[FitId] = []
        self.how: Callable[[Claim], Awaitable[Fit]] = self.succeed

    async def carry_out(self, claimed: Claim) -> Fit | None:
        self.worked.append(claimed.fit.id)
        return await self.how(claimed)

    async def succeed(self, claimed: Claim) -> Fit:
        await store(self._ledger, claimed)
        return await self._ledger.fits.publish(claimed.fit.id)

    async def fail(self, claimed: Claim) -> Fit:
        return await self._ledger.fits.fail(claimed, "bad", retryable=True, max_tries=TRIES)


@pytest.fixture
async def queue(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Shaky]:
    opened = Shaky(tmp_path / "queue.db", clock=clock.monotonic, redeliver_after_s=REDELIVER_S)
    yield opened
    await opened.close()


@pytest.fixture
def service(ledger: Ledger) -> Service:
    return Service(ledger)


@pytest.fixture
def loop(ledger: Ledger, queue: Shaky, service: Service, clock: ManualClock) -> FitLoop:
    return FitLoop(
        ledger,
        queue,
        cast(FitService, service),
        clock,
        worker="w",
        max_tries=TRIES,
        renew_s=RENEW_S,
    )


async def works(loop: FitLoop, clock: ManualClock, until_true: Callable[[], bool]) -> None:
    """Run the loop until something is true; time goes on for it meanwhile."""
    async with running(loop.run):
        await until_later(clock, 0.2, until_true, "the loop has come so far")


async def test_tickets_are_worked_on_in_turn_and_leave_the_queue(
    ledger: Ledger, queue: Shaky, service: Service, loop: FitLoop, clock: ManualClock
) -> None:
    fits = [await accept(ledger) for _ in range(3)]
    for fit in fits:
        await queue.publish(fit.id, 0)
    await works(loop, clock, lambda: len(service.worked) == 3 and loop.busy_with is None)
    assert service.worked == [fit.id for fit in fits]
    assert (await ledger.fits.get(fits[2].id)).state is FitState.PUBLISHED


async def test_fits_of_the_dead_come_before_tickets(
    ledger: Ledger, queue: Shaky, service: Service, loop: FitLoop, clock: ManualClock
) -> None:
    waiting, orphan = await accept(ledger), await accept(ledger)
    await queue.publish(waiting.id, 0)
    await claim(ledger, orphan, "dead")
    seen = await ledger.fits.beat(orphan.id)
    assert seen is not None
    assert loop.take_over(orphan.id, seen)
    assert not loop.take_over(orphan.id, seen)  # it knows, and has not come to it yet
    await works(loop, clock, lambda: len(service.worked) == 2)
    assert service.worked == [orphan.id, waiting.id]


async def test_a_fit_whose_worker_turned_out_to_live_is_left_to_it(
    ledger: Ledger, queue: Shaky, service: Service, loop: FitLoop, clock: ManualClock
) -> None:
    slow, other = await accept(ledger), await accept(ledger)
    held = await claim(ledger, slow, "slow")
    seen = await ledger.fits.beat(slow.id)
    assert seen is not None
    loop.take_over(slow.id, seen)
    await held.renew(0.5, "still here")
    await queue.publish(other.id, 0)
    await works(loop, clock, lambda: len(service.worked) == 1)
    assert service.worked == [other.id]
    assert (await ledger.fits.get(slow.id)).worker == "slow"


async def test_a_ticket_is_renewed_for_as_long_as_its_fit_takes(
    ledger: Ledger, queue: Shaky, service: Service, loop: FitLoop, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)
    go_on = asyncio.Event()

    async def slowly(claimed: Claim) -> Fit:
        await go_on.wait()
        return await service.succeed(claimed)

    service.how = slowly
    async with running(loop.run):
        await until(lambda: loop.busy_with == fit.id, "it is at work")
        for _ in range(10):
            queue.renewals = 0
            await clock.advance(REDELIVER_S / 2)
            await until(lambda: queue.renewals > 0, "it is renewed")
            assert await queue.take(0) is None
        go_on.set()
        await until(lambda: loop.busy_with is None, "it is done")
    assert (await ledger.fits.get(fit.id)).attempt == 1


async def test_a_fit_that_is_to_be_tried_again_gets_a_ticket_until_its_tries_are_spent(
    ledger: Ledger, queue: Shaky, service: Service, loop: FitLoop, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)
    service.how = service.fail
    await works(loop, clock, lambda: len(service.worked) == TRIES and loop.busy_with is None)
    ended = await ledger.fits.get(fit.id)
    assert (ended.state, ended.tries, ended.reason) == (FitState.FAILED, TRIES, "bad")


async def test_a_queue_that_is_away_when_a_fit_is_to_be_tried_again_stops_nobody(
    ledger: Ledger, queue: Shaky, service: Service, loop: FitLoop, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)

    async def fail(claimed: Claim) -> Fit:
        queue.away = True
        return await service.fail(claimed)

    service.how = fail
    async with running(loop.run):
        with capture_logs() as logs:
            await until(lambda: queue.away and bool(logs), "it has failed")
        assert logs[0]["event"] == "ticket not published; the reconciler will"
        queue.away = False
        other = await accept(ledger)
        await queue.publish(other.id, 0)
        await until_later(clock, 0.2, lambda: other.id in service.worked, "the other is done")
    # Its row says that it waits, which the reconciler will see.
    assert (await ledger.fits.get(fit.id)).state is FitState.QUEUED


async def test_a_queue_that_is_away_is_told_of_once_and_waited_for(
    ledger: Ledger, queue: Shaky, service: Service, loop: FitLoop, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)
    queue.away = True
    with capture_logs() as logs:
        async with running(loop.run):
            await until(lambda: bool(logs), "it has been told of")
            for _ in range(5):
                await clock.advance(1)
            assert service.worked == []
            queue.away = False
            await until_later(clock, 0.2, lambda: bool(service.worked), "it is worked on")
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["queue away"]


async def test_a_store_that_is_away_leaves_the_ticket_to_come_again(
    ledger: Ledger,
    store: Troubled,
    queue: Shaky,
    service: Service,
    loop: FitLoop,
    clock: ManualClock,
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)
    store.away = True
    async with running(loop.run):
        await until_later(clock, 1, lambda: store.refused > 0, "the store was asked in vain")
        store.away = False
        await until_later(clock, 1, lambda: bool(service.worked), "it is worked on")
    assert service.worked == [fit.id]


async def test_a_worker_that_is_stopped_while_the_store_is_away_ends_all_the_same(
    ledger: Ledger, store: Troubled, queue: Shaky, service: Service, loop: FitLoop
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)

    async def for_ever(claimed: Claim) -> Fit:
        await asyncio.Event().wait()
        raise AssertionError

    service.how = for_ever
    async with running(loop.run):
        await until(lambda: loop.busy_with == fit.id, "it is at work")
        store.away = True
    store.away = False
    # Its heartbeat stands still now, by which another worker knows.
    assert (await ledger.fits.get(fit.id)).state is FitState.RUNNING


async def test_a_worker_that_is_stopped_while_the_queue_is_away_gives_its_fit_back(
    ledger: Ledger, queue: Shaky, service: Service, loop: FitLoop
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)

    async def for_ever(claimed: Claim) -> Fit:
        await asyncio.Event().wait()
        raise AssertionError

    service.how = for_ever
    async with running(loop.run):
        await until(lambda: loop.busy_with == fit.id, "it is at work")
        queue.away = True
    back = await ledger.fits.get(fit.id)
    assert (back.state, back.tries) == (FitState.QUEUED, 0)
