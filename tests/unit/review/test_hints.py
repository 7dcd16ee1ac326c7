from __future__ import annotations

import asyncio
import time
from pathlib import Path

from broker.hints import Hints
from tally.clock import ManualClock
from tally.errors import QueueUnavailable
from tally.fitqueue.base import Ticket
from tally.ids import FitId
from tally.ledger import Ledger
from tally.store.sqlite import SqliteStore
from tests.unit.ledger.acts import accept


class HangingQueue:
    """Hangs with the first ticket, then refuses it; takes the others."""

    def __init__(self) -> None:
        self.resume = asyncio.Event()
        self.published: asyncio.Queue[FitId] = asyncio.Queue()
        self._first = True

    async def publish(self, fit: FitId, attempt: int) -> None:
        if self._first:
            self._first = False
            await self.resume.wait()
            raise QueueUnavailable("no answer")
        self.published.put_nowait(fit)

    async def take(self, wait_s: float) -> Ticket | None:
        return None

    async def depth(self) -> int:
        return 0

    async def ping(self) -> None: ...

    async def close(self) -> None: ...


async def test_a_queue_that_hangs_delays_nobody_and_gets_the_later_tickets(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    ledger = Ledger(store, ManualClock())
    first, second = await accept(ledger), await accept(ledger)
    queue = HangingQueue()
    hints = Hints(queue)
    running = asyncio.create_task(hints.run())
    began = time.monotonic()
    hints.give(first)
    await asyncio.sleep(0)
    hints.give(second)
    assert time.monotonic() - began < 1
    queue.resume.set()
    async with asyncio.timeout(10):
        assert await queue.published.get() == second.id
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()


async def test_tickets_beyond_the_bound_are_dropped_and_nobody_waits(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    fit = await accept(Ledger(store, ManualClock()))
    hints = Hints(HangingQueue())
    for _ in range(1500):
        hints.give(fit)
    await store.close()
