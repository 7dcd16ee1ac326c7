from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from model_api.children import Children
from model_api.fit_loop import FitLoop
from model_api.reconcile import ABSENT_S, DOUBT_S, Reconciler
from model_api.services.fit import FitService
from tally.announce import read_announcement
from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import QueueUnavailable
from tally.fitqueue.base import FitQueue
from tally.fitqueue.embedded import EmbeddedQueue
from tally.ids import FitId, new_blob_id, new_fit_id
from tally.ledger import Ledger
from tally.ledger.records import FitState, open_partition
from tally.store.base import Write
from tests.unit.model_api.acts import TRIES, Troubled, accept, claim, publish, running, store, until

TTL_S = 10.0


@dataclass
class Worker:
    """A fit worker whose loops run only when a test says so."""

    loop: FitLoop
    reconciler: Reconciler
    clock: ManualClock
    settled: bool = True

    async def works(self) -> None:
        """Let it do what it has been given, until it has waited for a ticket in vain."""
        async with asyncio.timeout(30):
            once = asyncio.create_task(self.loop._once())
            while not once.done():
                if self.loop.busy_with is None:
                    await self.clock.advance(0.3)
                await asyncio.sleep(0.005)
            await once


def worker_of(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    queue: FitQueue,
    children: Children,
    clock: ManualClock,
) -> Worker:
    service = FitService(
        ledger,
        coordinator,
        children,
        timeout_s=60,
        store_wait_s=1,
        beat_s=TTL_S / 4,
        max_tries=TRIES,
    )
    loop = FitLoop(ledger, queue, service, clock, worker="w", max_tries=TRIES, renew_s=10)
    made = Worker(loop, None, clock)  # type: ignore[arg-type]
    made.reconciler = Reconciler(
        ledger,
        queue,
        service,
        loop,
        clock,
        every_s=1,
        claim_ttl_s=TTL_S,
        settled=lambda: made.settled,
    )
    return made


@pytest.fixture
async def worker(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    queue: EmbeddedQueue,
    children: Children,
    clock: ManualClock,
) -> Worker:
    return worker_of(ledger, coordinator, queue, children, clock)


async def open_fits(ledger: Ledger) -> list[FitId]:
    return [fit async for fit, _ in ledger.fits.open.walk()]


async def test_a_fit_without_a_ticket_is_queued_after_a_while(
    ledger: Ledger, queue: EmbeddedQueue, worker: Worker, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    await worker.reconciler.walk()
    await clock.advance(TTL_S * 0.9)
    await worker.reconciler.walk()
    assert await queue.depth() == 0
    await clock.advance(TTL_S * 0.2)
    await worker.reconciler.walk()
    ticket = await queue.take(0)
    assert ticket is not None
    assert ticket.fit == fit.id


async def test_waiting_in_a_long_queue_makes_no_more_tickets(
    ledger: Ledger, queue: EmbeddedQueue, worker: Worker, clock: ManualClock
) -> None:
    for _ in range(5):
        fit = await accept(ledger)
        await queue.publish(fit.id, fit.attempt)
    # Beyond the time for which the queue knows a ticket again.
    for _ in range(30):
        await worker.reconciler.walk()
        await clock.advance(TTL_S)
    assert await queue.depth() == 5


async def test_of_many_tickets_the_lost_ones_are_published_again(
    ledger: Ledger, queue: EmbeddedQueue, worker: Worker, clock: ManualClock
) -> None:
    fits = [await accept(ledger) for _ in range(4)]
    await queue.publish(fits[0].id, 0)
    await worker.reconciler.walk()
    await clock.advance(TTL_S)
    await worker.reconciler.walk()
    assert await queue.depth() == 4


async def test_a_ticket_that_hides_behind_stale_ones_is_published_in_the_end(
    ledger: Ledger, queue: EmbeddedQueue, worker: Worker, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    await queue.publish(FitId(f"{fit.model}.{'0' * 16}"), 0)
    await worker.reconciler.walk()
    await clock.advance(DOUBT_S / 2)
    await worker.reconciler.walk()
    assert await queue.depth() == 1
    await clock.advance(DOUBT_S / 2)
    await worker.reconciler.walk()
    assert await queue.depth() == 2


async def test_a_heartbeat_that_stands_still_is_taken_over_and_becomes_one_version(
    ledger: Ledger, worker: Worker, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    await claim(ledger, fit, "dead")
    await worker.reconciler.walk()
    await clock.advance(TTL_S)
    await worker.reconciler.walk()
    await worker.works()
    ended = await ledger.fits.get(fit.id)
    assert (ended.state, ended.attempt, ended.version) == (FitState.PUBLISHED, 2, 1)


async def test_a_heartbeat_that_moves_is_left_alone(
    ledger: Ledger, worker: Worker, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    held = await claim(ledger, fit, "alive")
    for _ in range(10):
        await worker.reconciler.walk()
        await clock.advance(TTL_S * 0.9)
        await held.renew(0.5, "working")
    await worker.works()
    assert (await ledger.fits.get(fit.id)).attempt == 1


async def test_an_outage_of_the_store_kills_nobody(
    ledger: Ledger, store: Troubled, worker: Worker, clock: ManualClock
) -> None:
    """While the store was away no heartbeat could be written."""
    fit = await accept(ledger)
    await claim(ledger, fit, "alive")
    await worker.reconciler.walk()
    store.away = True
    with capture_logs() as logs:
        async with running(worker.reconciler.run):
            await until(lambda: bool(logs), "it has noticed")
    await clock.advance(TTL_S * 2)
    store.away = False
    await worker.reconciler.walk()
    await worker.works()
    assert (await ledger.fits.get(fit.id)).attempt == 1


async def test_nobody_is_taken_over_right_after_an_outage_of_the_coordinator(
    ledger: Ledger, worker: Worker, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    await claim(ledger, fit, "dead")
    worker.settled = False
    await worker.reconciler.walk()
    await clock.advance(TTL_S * 3)
    await worker.reconciler.walk()
    await worker.works()
    assert (await ledger.fits.get(fit.id)).attempt == 1
    worker.settled = True
    await worker.reconciler.walk()
    await worker.works()
    assert (await ledger.fits.get(fit.id)).attempt == 2


async def test_a_stored_fit_is_published_not_fitted_again_and_then_announced(
    ledger: Ledger, worker: Worker, clock: ManualClock, coordinator: EmbeddedCoordinator
) -> None:
    fit = await accept(ledger)
    await store(ledger, await claim(ledger, fit, "dead"))
    await worker.reconciler.walk()
    assert (await ledger.fits.get(fit.id)).state is FitState.STORED
    await clock.advance(TTL_S)
    await worker.reconciler.walk()
    ended = await ledger.fits.get(fit.id)
    assert (ended.state, ended.attempt) == (FitState.PUBLISHED, 1)
    announced = read_announcement(await coordinator.get("models/m/version"))
    assert announced is not None
    assert announced.version == 1


async def test_a_published_fit_is_announced_again_until_it_is_served(
    ledger: Ledger, worker: Worker, coordinator: EmbeddedCoordinator
) -> None:
    fit = await publish(ledger)
    for _ in range(2):
        await worker.reconciler.walk()
        assert read_announcement(await coordinator.get("models/m/version")) is not None
        await coordinator.delete("models/m/version")
    await publish(ledger)
    await worker.reconciler.walk()
    # The head has moved on: nobody is going to serve the first one.
    assert (await ledger.fits.get(fit.id)).state is FitState.SUPERSEDED
    assert fit.id not in await open_fits(ledger)


async def test_an_entry_whose_row_never_comes_goes_with_its_series(
    ledger: Ledger, store: Troubled, worker: Worker, clock: ManualClock
) -> None:
    model = (await publish(ledger)).model
    ghost, series = new_fit_id(model), new_blob_id()
    await ledger.fits.open.add(ghost, series)
    await store.put_blob(series, b"values")
    await worker.reconciler.walk()
    await clock.advance(ABSENT_S * 0.9)
    await worker.reconciler.walk()
    assert series in [blob async for blob in store.blobs()]
    await clock.advance(ABSENT_S * 0.2)
    await worker.reconciler.walk()
    assert series not in [blob async for blob in store.blobs()]
    assert ghost not in await open_fits(ledger)


async def test_a_row_that_cannot_be_read_keeps_no_other_fit_from_going_on(
    ledger: Ledger,
    store: Troubled,
    queue: EmbeddedQueue,
    worker: Worker,
    clock: ManualClock,
) -> None:
    bad, good = await accept(ledger), await accept(ledger)
    partition, key = f"model/{bad.model}", f"fit/{bad.id}"
    row = await store.get(partition, key)
    assert row is not None
    await store.commit(partition, [Write(key, row.token, b"{nonsense")])
    for fit in (bad, good):
        await queue.publish(fit.id, 0)
    await worker.works()
    await worker.works()
    assert (await ledger.fits.get(good.id)).state is FitState.PUBLISHED
    await worker.reconciler.walk()
    assert await queue.depth() == 0


async def test_a_cancelled_worker_gives_its_fit_back_at_no_cost(
    ledger: Ledger, queue: EmbeddedQueue, worker: Worker
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)
    working = asyncio.create_task(worker.loop.run())
    await until(lambda: worker.loop.busy_with == fit.id, "it is at work")
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    back = await ledger.fits.get(fit.id)
    assert (back.state, back.attempt, back.tries) == (FitState.QUEUED, 1, 0)
    for _ in range(2):
        await worker.works()
    assert (await ledger.fits.get(fit.id)).state is FitState.PUBLISHED


async def test_a_model_that_is_deleted_stops_the_fit_that_is_under_way(
    ledger: Ledger, worker: Worker, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    held = await claim(ledger, fit)
    await ledger.versions.delete("m", "bob")
    with pytest.raises(Exception, match="deleted"):
        await held.renew(0.5, "half")
    await worker.reconciler.walk()
    await clock.advance(TTL_S)
    await worker.reconciler.walk()
    await worker.works()
    ended = await ledger.fits.get(fit.id)
    assert (ended.state, ended.reason) == (FitState.CANCELLED, "the model was deleted")


async def test_a_fit_whose_bytes_cannot_be_kept_is_given_back_and_done_once_they_can(
    ledger: Ledger, store: Troubled, queue: EmbeddedQueue, worker: Worker
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)
    store.bytes_away = True
    await worker.works()
    back = await ledger.fits.get(fit.id)
    assert (back.state, back.attempt, back.tries) == (FitState.QUEUED, 1, 0)
    assert back.reason == "the store was away for 1 s: the bytes are away"
    store.bytes_away = False
    for _ in range(2):
        await worker.works()
    assert (await ledger.fits.get(fit.id)).state is FitState.PUBLISHED


async def test_a_worker_whose_store_stays_away_altogether_leaves_the_fit_to_a_takeover(
    ledger: Ledger,
    store: Troubled,
    queue: EmbeddedQueue,
    worker: Worker,
    clock: ManualClock,
) -> None:
    fit = await accept(ledger)
    await queue.publish(fit.id, 0)
    taken = asyncio.create_task(worker.works())
    await until(lambda: worker.loop.busy_with == fit.id, "it is at work")
    store.away = True
    await taken
    store.away = False
    assert (await ledger.fits.get(fit.id)).state is FitState.RUNNING
    await worker.reconciler.walk()
    await clock.advance(TTL_S)
    await worker.reconciler.walk()
    await worker.works()
    assert (await ledger.fits.get(fit.id)).state is FitState.PUBLISHED


async def test_a_fit_that_ended_unseen_is_cleared_away_and_forgotten(
    ledger: Ledger, store: Troubled, worker: Worker
) -> None:
    fit = await accept(ledger)
    await worker.reconciler.walk()
    await ledger.fits.cancel(fit.id, "ann")
    await worker.reconciler.walk()
    assert await open_fits(ledger) == []
    assert [blob async for blob in store.blobs()] == []
    await worker.reconciler.walk()
    assert worker.reconciler._seen == {}


async def test_a_dead_worker_s_fit_is_told_of_once_while_it_waits_for_its_turn(
    ledger: Ledger, worker: Worker, clock: ManualClock
) -> None:
    await claim(ledger, await accept(ledger), "dead")
    with capture_logs() as logs:
        for _ in range(8):
            await worker.reconciler.walk()
            await clock.advance(TTL_S)
    assert [entry["event"] for entry in logs] == ["taking over"]


async def test_a_fit_that_this_worker_is_at_is_not_taken_over_by_itself(
    ledger: Ledger, worker: Worker, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    await claim(ledger, fit)
    worker.loop.busy_with = fit.id
    for _ in range(3):
        await worker.reconciler.walk()
        await clock.advance(TTL_S)
    worker.loop.busy_with = None
    await worker.works()
    assert (await ledger.fits.get(fit.id)).attempt == 1


async def test_a_queue_that_is_away_puts_tickets_off_and_nothing_else(
    ledger: Ledger,
    queue: EmbeddedQueue,
    worker: Worker,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse() -> int:
        raise QueueUnavailable("the queue is away")

    await accept(ledger)
    await worker.reconciler.walk()
    await clock.advance(TTL_S)
    with monkeypatch.context() as patched:
        patched.setattr(queue, "depth", refuse)
        await worker.reconciler.walk()
    await worker.reconciler.walk()
    assert await queue.depth() == 1


async def test_an_entry_that_cannot_be_read_does_not_end_the_walks(
    ledger: Ledger, store: Troubled, queue: EmbeddedQueue, worker: Worker, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    partition = open_partition(fit.id)
    row = await store.get(partition, fit.id)
    assert row is not None
    made = await store.commit(partition, [Write(fit.id, row.token, b"{nonsense")])
    assert made is not None
    with capture_logs() as logs:
        async with running(worker.reconciler.run):
            await until(lambda: bool(logs), "it has passed the entry over")
            await store.commit(partition, [Write(fit.id, made[fit.id], row.value)])
            async with asyncio.timeout(20):
                while await queue.depth() == 0:
                    await clock.advance(1)
                    await asyncio.sleep(0.005)
    assert logs[0]["event"] == "entry of an open fit passed over"
