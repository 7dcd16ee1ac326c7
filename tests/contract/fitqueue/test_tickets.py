from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tally.errors import QueueUnavailable
from tally.fitqueue.base import FitQueue, Ticket
from tally.ids import FitId, new_fit_id, new_model_uuid

if TYPE_CHECKING:
    from tests.contract.fitqueue.conftest import OpenClient, StartTaker

REDELIVER_AFTER_S = 1.0
MODEL = new_model_uuid()


def new_fit() -> FitId:
    return new_fit_id(MODEL)


async def publish_new(queue: FitQueue, count: int) -> list[FitId]:
    fits = [new_fit() for _ in range(count)]
    for fit in fits:
        await queue.publish(fit, 1)
    return fits


async def take(queue: FitQueue, wait_s: float = 10) -> Ticket:
    ticket = await queue.take(wait_s)
    assert ticket is not None
    return ticket


async def test_a_ticket_published_by_one_client_is_taken_by_another(
    queue: FitQueue, other: FitQueue
) -> None:
    (fit,) = await publish_new(queue, 1)
    ticket = await take(other)
    assert (ticket.fit, ticket.deliveries) == (fit, 1)


async def test_an_empty_queue_gives_nothing_within_the_wait(queue: FitQueue) -> None:
    await queue.ping()
    started = time.monotonic()
    assert await queue.take(0) is None
    assert await queue.take(0.3) is None
    assert 0.25 < time.monotonic() - started < 5


@pytest.mark.parametrize("same", [True, False], ids=["same client", "other client"])
async def test_a_waiting_taker_gets_a_ticket_soon_after_it_is_published(
    queue: FitQueue, other: FitQueue, same: bool
) -> None:
    await other.ping()
    taking = asyncio.ensure_future(take(queue if same else other))
    await asyncio.sleep(0.1)  # long enough to be waiting; if not, the test is only weaker
    published = time.monotonic()
    (fit,) = await publish_new(queue, 1)
    assert (await taking).fit == fit
    assert time.monotonic() - published < 2


async def test_tickets_come_in_the_order_of_arrival(queue: FitQueue) -> None:
    fits = await publish_new(queue, 10)
    taken = []
    for _ in fits:
        ticket = await take(queue)
        taken.append(ticket.fit)
        await ticket.done()
    assert taken == fits


async def test_of_eight_takers_one_gets_the_ticket(open_client: OpenClient) -> None:
    takers = [open_client() for _ in range(8)]
    await asyncio.gather(*(taker.ping() for taker in takers))
    waiting = [asyncio.ensure_future(taker.take(0.8)) for taker in takers]
    (fit,) = await publish_new(takers[0], 1)
    taken = [ticket.fit for ticket in await asyncio.gather(*waiting) if ticket is not None]
    assert taken == [fit]


async def test_takers_of_one_client_share_the_tickets(queue: FitQueue) -> None:
    fits = await publish_new(queue, 8)
    tickets = await asyncio.gather(*(take(queue) for _ in fits))
    assert sorted(ticket.fit for ticket in tickets) == sorted(fits)


async def test_each_ticket_goes_to_one_of_several_processes(
    queue: FitQueue, start_taker: StartTaker
) -> None:
    fits = await publish_new(queue, 60)
    children = await asyncio.gather(*(start_taker("drain") for _ in range(4)))
    for child in children:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
    taken = []
    for out, _ in await asyncio.gather(*(child.communicate(b"go\n") for child in children)):
        taken += out.decode().split()
    assert sorted(taken) == sorted(fits)
    assert await queue.depth() == 0


async def test_a_ticket_comes_again_after_its_taker_was_killed(
    queue: FitQueue, start_taker: StartTaker
) -> None:
    (fit,) = await publish_new(queue, 1)
    child = await start_taker("hold")
    assert child.stdout is not None
    assert (await child.stdout.readline()).decode().strip() == fit
    child.kill()
    ticket = await take(queue)
    assert (ticket.fit, ticket.deliveries) == (fit, 2)


async def test_a_ticket_that_is_renewed_stays_with_its_taker(queue: FitQueue) -> None:
    (fit,) = await publish_new(queue, 1)
    ticket = await take(queue)

    async def renew_for(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await ticket.renew()
            await asyncio.sleep(REDELIVER_AFTER_S / 8)

    renewing = asyncio.ensure_future(renew_for(2.5 * REDELIVER_AFTER_S))
    assert await queue.take(2 * REDELIVER_AFTER_S) is None
    await renewing
    again = await take(queue)
    assert (again.fit, again.deliveries) == (fit, 2)


async def test_a_finished_ticket_never_comes_again(queue: FitQueue) -> None:
    await publish_new(queue, 1)
    ticket = await take(queue)
    assert await queue.depth() == 1
    await ticket.done()
    assert await queue.depth() == 0
    assert await queue.take(1.5 * REDELIVER_AFTER_S) is None


async def test_a_ticket_handed_back_comes_after_its_delay(queue: FitQueue) -> None:
    (fit,) = await publish_new(queue, 1)
    ticket = await take(queue)
    handed_back = time.monotonic()
    await ticket.again(0.5)
    ticket = await take(queue)
    assert 0.45 < time.monotonic() - handed_back < 5
    assert (ticket.fit, ticket.deliveries) == (fit, 2)


async def test_a_ticket_handed_back_without_delay_comes_at_once(queue: FitQueue) -> None:
    await publish_new(queue, 1)
    await (await take(queue)).again(0)
    assert (await take(queue, REDELIVER_AFTER_S / 2)).deliveries == 2


async def test_a_delay_may_be_longer_than_the_time_to_redelivery(queue: FitQueue) -> None:
    await publish_new(queue, 1)
    await (await take(queue)).again(2 * REDELIVER_AFTER_S)
    assert await queue.take(1.5 * REDELIVER_AFTER_S) is None
    assert (await take(queue)).deliveries == 2


async def test_a_ticket_waiting_out_its_delay_holds_up_no_other(queue: FitQueue) -> None:
    await publish_new(queue, 1)
    await (await take(queue)).again(30)
    (second,) = await publish_new(queue, 1)
    assert (await take(queue)).fit == second


async def test_the_same_attempt_is_added_once_and_the_next_one_again(
    queue: FitQueue, other: FitQueue
) -> None:
    fit = new_fit()
    await queue.publish(fit, 1)
    await other.publish(fit, 1)
    assert await queue.depth() == 1
    await (await take(queue)).done()
    await other.publish(fit, 1)
    assert await queue.depth() == 0
    await queue.publish(fit, 2)
    assert (await take(queue)).fit == fit


async def test_depth_counts_tickets_that_wait_and_that_are_held(queue: FitQueue) -> None:
    assert await queue.depth() == 0
    await publish_new(queue, 3)
    await take(queue)
    assert await queue.depth() == 3


async def test_a_taker_that_gives_up_leaves_the_ticket_to_others(queue: FitQueue) -> None:
    await queue.ping()
    for moment in range(10):
        taking = asyncio.ensure_future(queue.take(5))
        await asyncio.sleep(moment / 500)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
    await publish_new(queue, 1)
    assert (await take(queue, REDELIVER_AFTER_S / 2)).deliveries == 1


async def test_a_closed_queue_says_so_and_its_tickets_keep_quiet(
    queue: FitQueue, other: FitQueue
) -> None:
    await publish_new(queue, 1)
    ticket = await take(queue)
    await queue.close()
    await queue.close()
    await ticket.renew()
    await ticket.again(0)
    await ticket.done()
    for call in (queue.ping(), queue.take(1), queue.publish(new_fit(), 1), queue.depth()):
        with pytest.raises(QueueUnavailable):
            await call
    assert (await take(other)).fit == ticket.fit
