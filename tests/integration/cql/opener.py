"""Opens a store and uses all of its tables at once, as one of several processes that start.

Whatever goes wrong is on its standard error, the driver's own complaints too.
"""

from __future__ import annotations

import asyncio
import sys

from tally.ids import new_blob_id
from tally.store.base import Write
from tally.store.open import open_store


async def main(url: str, key: str) -> None:
    store = await open_store(url)
    blob = await store.put_blob(new_blob_id(), key.encode())
    assert await store.commit("p", [Write(key, None, b"")])
    assert await store.get_blob(blob) == key.encode()
    await store.delete_blob(blob.id)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
