"""Commits a number and a blob again and again, and prints each number once it is acknowledged."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tally.ids import new_blob_id
from tally.store.base import Write
from tally.store.sqlite import SqliteStore


async def main(path: Path) -> None:
    store = SqliteStore(path)
    while True:
        left, right = await store.get("p", "left"), await store.get("p", "right")
        number = int(left.value.split()[0]) + 1 if left else 1
        blob = await store.put_blob(new_blob_id(), os.urandom(1_500_000))
        writes = [
            Write("left", left.token if left else None, f"{number} {blob.id}".encode()),
            Write("right", right.token if right else None, f"{number}".encode()),
        ]
        assert await store.commit("p", writes)
        print(number, flush=True)
        if left:
            await store.delete_blob(type(blob.id)(left.value.split()[1].decode()))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
