"""Adds one to a counter, a number of times."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tally.store.base import Write
from tally.store.sqlite import SqliteStore


async def main(path: Path, times: int) -> None:
    store = SqliteStore(path)
    while times:
        row = await store.get("p", "counter")
        number = int(row.value) + 1 if row else 1
        write = Write("counter", row.token if row else None, b"%d" % number)
        times -= await store.commit("p", [write]) is not None
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
