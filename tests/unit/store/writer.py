"""Commits a number and a blob to 100 rows at once, and prints it when acknowledged; for ever."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tally.ids import BlobId, new_blob_id
from tally.store.base import Write
from tally.store.sqlite import SqliteStore


async def main(path: Path) -> None:
    store = SqliteStore(path)
    while True:
        rows = {row.key: row for row in await store.scan("p")}
        number = int(rows["0"].value.split()[0]) + 1 if rows else 1
        blob = await store.put_blob(new_blob_id(), os.urandom(1_500_000))
        value = f"{number} {blob.id}".encode()
        keys = [f"{i}" for i in range(100)]
        writes = [Write(key, rows[key].token if rows else None, value) for key in keys]
        assert await store.commit("p", writes)
        print(number, flush=True)
        if rows:
            await store.delete_blob(BlobId(rows["0"].value.split()[1].decode()))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
