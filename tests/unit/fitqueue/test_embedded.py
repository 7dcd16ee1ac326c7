from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.errors import ConfigurationError, QueueUnavailable
from tally.fitqueue.base import Ticket
from tally.fitqueue.embedded import EmbeddedQueue
from tally.ids import FitId

FIT = FitId("0f" * 16 + ".00000000000000aa")


@pytest.fixture
async def queue(tmp_path: Path, clock: ManualClock) -> AsyncIterator[EmbeddedQueue]:
    opened = EmbeddedQueue(tmp_path / "queue.db", redeliver_after_s=30.0, clock=clock.monotonic)
    yield opened
    await opened.close()


async def take(queue: EmbeddedQueue) -> Ticket:
    ticket = await queue.take(0)
    assert ticket is not None
    return ticket


async def test_a_ticket_comes_again_after_the_time_to_redelivery_and_not_before(
    queue: EmbeddedQueue, clock: ManualClock
) -> None:
    await queue.publish(FIT, 1)
    await take(queue)
    await clock.advance(29.9)
    assert await queue.take(0) is None
    await clock.advance(0.2)
    assert (await take(queue)).deliveries == 2


async def test_renewing_gives_the_full_time_again(queue: EmbeddedQueue, clock: ManualClock) -> None:
    await queue.publish(FIT, 1)
    ticket = await take(queue)
    await clock.advance(29)
    await ticket.renew()
    await clock.advance(29)
    assert await queue.take(0) is None
    await clock.advance(2)
    assert (await take(queue)).deliveries == 2


async def test_a_taker_that_lost_its_ticket_moves_it_no_more(
    queue: EmbeddedQueue, clock: ManualClock
) -> None:
    await queue.publish(FIT, 1)
    late = await take(queue)
    await clock.advance(31)
    await take(queue)
    await late.again(0)
    assert await queue.take(0) is None
    await clock.advance(20)
    await late.renew()
    await clock.advance(11)
    assert (await take(queue)).deliveries == 3


async def test_an_attempt_is_remembered_for_two_minutes(
    queue: EmbeddedQueue, clock: ManualClock
) -> None:
    await queue.publish(FIT, 1)
    await clock.advance(119)
    await queue.publish(FIT, 1)
    assert await queue.depth() == 1
    await clock.advance(2)
    await queue.publish(FIT, 1)
    assert await queue.depth() == 2


async def test_after_the_machine_started_again_every_ticket_is_due(
    queue: EmbeddedQueue, tmp_path: Path
) -> None:
    await queue.publish(FIT, 1)
    ticket = await take(queue)
    await ticket.again(1000)
    with sqlite3.connect(tmp_path / "queue.db") as file:
        file.execute("UPDATE tickets SET boot = 'an earlier one'")
    file.close()
    assert (await take(queue)).deliveries == 2
    assert await queue.take(0) is None


async def test_tickets_outlive_the_process(queue: EmbeddedQueue, tmp_path: Path) -> None:
    await queue.publish(FIT, 1)
    await queue.close()
    again = EmbeddedQueue(tmp_path / "queue.db")
    assert (await take(again)).fit == FIT
    await again.close()


async def test_a_taker_cancelled_in_its_transaction_puts_the_ticket_back(
    queue: EmbeddedQueue, tmp_path: Path
) -> None:
    await queue.publish(FIT, 1)
    lock = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")  # holds the transaction up until the cancellation is in
    taking = asyncio.ensure_future(queue.take(5))
    await asyncio.sleep(0.05)
    taking.cancel()
    await asyncio.sleep(0)
    lock.execute("ROLLBACK")
    lock.close()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert (await take(queue)).fit == FIT


async def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("not a database, and long enough to be seen as one" * 100)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as file:
        file.execute("CREATE TABLE people (name TEXT)")
    file.close()
    for path in (text, foreign, tmp_path):
        with pytest.raises(ConfigurationError, match=path.name):
            EmbeddedQueue(path)


async def test_a_file_of_a_later_format_is_refused(queue: EmbeddedQueue, tmp_path: Path) -> None:
    await queue.close()
    file = sqlite3.connect(tmp_path / "queue.db")
    file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(ConfigurationError, match="format 99"):
        EmbeddedQueue(tmp_path / "queue.db")


async def test_a_broken_file_is_an_outage_for_calls_and_silence_for_tickets(
    queue: EmbeddedQueue, tmp_path: Path
) -> None:
    await queue.publish(FIT, 1)
    ticket = await take(queue)
    with sqlite3.connect(tmp_path / "queue.db") as file:
        file.execute("DROP TABLE tickets")
    file.close()
    await ticket.renew()
    await ticket.again(1)
    await ticket.done()
    for call in (queue.ping(), queue.take(0), queue.publish(FIT, 2)):
        with pytest.raises(QueueUnavailable, match=r"queue\.db"):
            await call


def test_many_processes_may_make_the_file_at_once(tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib, sys\n"
        "from tally.fitqueue.embedded import EmbeddedQueue\n"
        "async def main():\n"
        "    for path in sys.stdin:\n"
        "        queue = EmbeddedQueue(pathlib.Path(path.strip()))\n"
        "        await queue.ping()\n"
        "        await queue.close()\n"
        "        print('made', flush=True)\n"
        "asyncio.run(main())\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for number in range(20):
        for child in children:
            assert child.stdin is not None
            child.stdin.write(f"{tmp_path}/{number}.db\n")
            child.stdin.flush()
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "made\n"
    for child in children:
        child.communicate(timeout=60)
        assert child.returncode == 0
