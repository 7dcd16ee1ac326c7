"""Another process: `child.py URL REDELIVER_AFTER_S COMMAND`."""

from __future__ import annotations

import asyncio
import sys

from tally.fitqueue.base import FitQueue
from tally.fitqueue.open import open_queue


async def hold(queue: FitQueue) -> None:
    """Take one ticket, say which, and neither renew nor finish it."""
    ticket = await queue.take(10)
    print(ticket.fit if ticket else "nothing", flush=True)
    await asyncio.sleep(60)


async def drain(queue: FitQueue) -> None:
    """Once told to, take and finish tickets until there are no more, saying each."""
    await queue.ping()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    while (ticket := await queue.take(0.3)) is not None:
        print(ticket.fit, flush=True)
        await ticket.done()


async def main(url: str, redeliver_after_s: str, command: str) -> None:
    queue = open_queue(url, redeliver_after_s=float(redeliver_after_s))
    await {"hold": hold, "drain": drain}[command](queue)
    await queue.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
