"""Opens a store and writes one row, as one of several processes that start at once."""

from __future__ import annotations

import asyncio
import sys

from tally.store.base import Write
from tally.store.open import open_store


async def main(url: str, key: str) -> None:
    store = await open_store(url)
    assert await store.commit("p", [Write(key, None, b"")])
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
