from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import nats
import pytest
import structlog.testing

from tally.errors import QueueUnavailable
from tally.fitqueue.base import FitQueue, Ticket
from tally.ids import FitId, new_fit_id, new_model_uuid

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer
    from tests.integration.nats.conftest import OpenQueue

MODEL = new_model_uuid()


def new_fit() -> FitId:
    return new_fit_id(MODEL)


async def take(queue: FitQueue, wait_s: float = 10) -> Ticket:
    ticket = await queue.take(wait_s)
    assert ticket is not None
    return ticket


async def until_back(queue: FitQueue, within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(QueueUnavailable):
                await queue.ping()
                return
            await asyncio.sleep(0.1)


async def test_no_acknowledged_ticket_is_lost_when_the_server_is_killed(
    private_nats: Server, queue: FitQueue
) -> None:
    acknowledged: set[FitId] = set()
    in_doubt: set[FitId] = set()
    under_way = asyncio.Event()

    async def publish() -> None:
        while not in_doubt:
            fit = new_fit()
            try:
                await queue.publish(fit, 1)
            except QueueUnavailable:
                in_doubt.add(fit)
            else:
                acknowledged.add(fit)
            if len(acknowledged) >= 100:
                under_way.set()

    publishers = [asyncio.ensure_future(publish()) for _ in range(4)]
    await under_way.wait()
    await asyncio.to_thread(private_nats.kill)
    await asyncio.gather(*publishers)
    await asyncio.to_thread(private_nats.start)
    await until_back(queue)
    taken = set()
    while (ticket := await queue.take(0.5)) is not None:
        taken.add(ticket.fit)
        await ticket.done()
    assert acknowledged <= taken <= acknowledged | in_doubt


async def test_a_waiting_taker_hears_of_the_outage_and_works_again_after_it(
    private_nats: Server, queue: FitQueue
) -> None:
    await queue.ping()
    taking = asyncio.ensure_future(queue.take(30))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(private_nats.kill)
    with pytest.raises(QueueUnavailable):
        await asyncio.wait_for(taking, 5)
    await asyncio.to_thread(private_nats.start)
    await until_back(queue)
    fit = new_fit()
    await queue.publish(fit, 1)
    assert (await take(queue)).fit == fit


async def test_a_taker_cancelled_while_the_server_dies_ends(
    private_nats: Server, queue: FitQueue
) -> None:
    await queue.ping()
    taking = asyncio.ensure_future(queue.take(30))
    await asyncio.sleep(0.1)
    private_nats.kill()  # in this thread: the loop sees both at once
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(taking), 5)


async def test_a_server_that_lost_its_store_is_used_again_by_itself(
    private_nats: Server, queue: FitQueue, open_client: OpenQueue
) -> None:
    taker = open_client(private_nats.url)
    await queue.publish(new_fit(), 1)
    await taker.ping()
    await asyncio.to_thread(private_nats.wipe_and_start)
    # No look first: each of the two finds out by itself.
    fit = new_fit()
    await queue.publish(fit, 1)
    assert (await take(taker)).fit == fit
    assert await queue.depth() == 1


async def test_a_stream_deleted_under_a_connection_is_made_again(
    private_nats: Server, queue: FitQueue, open_client: OpenQueue
) -> None:
    taker = open_client(private_nats.url)
    await queue.publish(new_fit(), 1)
    await (await take(taker)).done()
    client = await nats.connect(private_nats.url)
    await client.jetstream().delete_stream("tally-fits")
    fit = new_fit()
    await queue.publish(fit, 1)
    assert (await take(taker)).fit == fit
    await client.jetstream().delete_consumer("tally-fits", "fit-workers")
    assert await taker.take(0) is not None  # a new consumer gives out what is not finished
    await client.close()


async def test_a_consumer_deleted_under_a_waiting_taker_is_made_again(
    private_nats: Server, queue: FitQueue
) -> None:
    await queue.ping()
    taking = asyncio.ensure_future(take(queue, 20))
    await asyncio.sleep(0.1)
    client = await nats.connect(private_nats.url)
    await client.jetstream().delete_consumer("tally-fits", "fit-workers")
    fit = new_fit()
    await client.jetstream().publish("tally.fits", fit.encode())
    assert (await asyncio.wait_for(taking, 5)).fit == fit
    await client.close()


async def test_a_ticket_from_before_the_loss_finishes_no_newer_one(
    private_nats: Server, queue: FitQueue
) -> None:
    await queue.publish(new_fit(), 1)
    old = await take(queue)
    await asyncio.to_thread(private_nats.wipe_and_start)
    fit = new_fit()
    await queue.publish(fit, 1)
    new = await take(queue)  # with the same numbers in its address as the old one
    await old.done()
    assert await queue.depth() == 1
    await new.done()
    assert await queue.depth() == 0


async def test_tickets_keep_quiet_while_the_server_is_away_and_come_again(
    private_nats: Server, open_client: OpenQueue
) -> None:
    queue = open_client(private_nats.url, redeliver_after_s=2.0)
    fit = new_fit()
    await queue.publish(fit, 1)
    ticket = await take(queue)
    await asyncio.to_thread(private_nats.kill)
    started = time.monotonic()
    await ticket.renew()
    await ticket.again(5)
    await ticket.done()
    assert time.monotonic() - started < 10
    await asyncio.to_thread(private_nats.start)
    await until_back(queue)
    assert (await take(queue)).fit == fit


async def test_a_ticket_finished_after_the_server_came_back_is_gone(
    private_nats: Server, queue: FitQueue
) -> None:
    await queue.publish(new_fit(), 1)
    ticket = await take(queue)
    await asyncio.to_thread(private_nats.restart)
    await ticket.done()
    assert await queue.depth() == 0


async def test_a_silent_server_is_an_error_within_seconds_and_forgotten_when_it_speaks(
    private_nats: Server, queue: FitQueue
) -> None:
    await queue.ping()
    private_nats.pause()
    try:
        started = time.monotonic()
        with pytest.raises(QueueUnavailable):
            await queue.publish(new_fit(), 1)
        # A hundred accepts must not wait one after another.
        answers = await asyncio.gather(
            *(queue.publish(new_fit(), 1) for _ in range(100)), return_exceptions=True
        )
        assert all(isinstance(answer, QueueUnavailable) for answer in answers)
        assert time.monotonic() - started < 12
    finally:
        private_nats.resume()
    await until_back(queue)


async def test_a_connection_that_fell_silent_is_replaced(
    private_nats: Server, open_client: OpenQueue
) -> None:
    host, _, port = private_nats.hosts[0].partition(":")
    writers: list[asyncio.StreamWriter] = []
    speaking = asyncio.Event()
    speaking.set()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, first: bool) -> None:
        while data := await source.read(65536):
            if speaking.is_set() or not first:
                target.write(data)
        target.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = not writers
        back, there = await asyncio.open_connection(host, int(port))
        writers.extend((writer, there))
        await asyncio.gather(copy(reader, there, first), copy(back, writer, first))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as listener:
        queue = open_client(f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        await queue.ping()
        speaking.clear()  # as a firewall does that forgot the connection
        with pytest.raises(QueueUnavailable):
            await queue.ping()
        await queue.ping()
        await queue.close()
        for writer in writers:
            await writer.wait_closed()


async def test_messages_that_are_not_tickets_are_dropped_with_a_line_in_the_log(
    private_nats: Server, queue: FitQueue
) -> None:
    await queue.ping()
    client = await nats.connect(private_nats.url)
    for garbage in (b"", b"\xff\x00", b"{}", b"x" * 1000, b"0" * 49):
        await client.jetstream().publish("tally.fits", garbage)
    await client.close()
    fit = new_fit()
    await queue.publish(fit, 1)
    with structlog.testing.capture_logs() as lines:
        assert (await take(queue)).fit == fit
    dropped = [line for line in lines if "not a ticket" in line["event"]]
    assert len(dropped) == 5
    assert await queue.depth() == 1


async def test_three_nodes_keep_the_queue_working_when_one_is_killed(
    start_server: StartServer, open_client: OpenQueue
) -> None:
    server = await asyncio.to_thread(start_server, "nats", nodes=3)
    queue = open_client(server.url)
    await until_back(queue, 20)  # the nodes elect a leader first
    before = new_fit()
    await queue.publish(before, 1)
    await asyncio.to_thread(server.kill, 1)
    await until_back(queue, 20)
    after = new_fit()
    await queue.publish(after, 1)
    assert {(await take(queue)).fit, (await take(queue)).fit} == {before, after}


async def test_several_names_of_one_lone_server_are_no_reason_to_fail(
    private_nats: Server, open_client: OpenQueue
) -> None:
    _, _, port = private_nats.hosts[0].partition(":")
    queue = open_client(f"nats://127.0.0.1:{port},localhost:{port},127.0.0.1:{port}")
    with structlog.testing.capture_logs() as lines:
        await queue.ping()
    assert any("not a cluster" in line["event"] for line in lines)


async def test_a_foreign_stream_of_our_name_is_named_in_the_error(
    private_nats: Server, queue: FitQueue
) -> None:
    client = await nats.connect(private_nats.url)
    await client.jetstream().add_stream(name="tally-fits", subjects=["something.else"])
    with pytest.raises(QueueUnavailable, match="tally-fits is not ours"):
        await queue.ping()
    await client.close()
