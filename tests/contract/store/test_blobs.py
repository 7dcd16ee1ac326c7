"""Immutable bytes, and the life of the store itself."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from typing import TYPE_CHECKING

import pytest

from tally.errors import CorruptState, NotFound, StoreUnavailable
from tally.ids import new_blob_id
from tally.store.base import Blob, Store, Write
from tally.store.chunks import CHUNK_BYTES

if TYPE_CHECKING:
    from tests.contract.store.conftest import Backend, OpenClient

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 10 * 2**20]
TWO_PARTS = CHUNK_BYTES + 100


@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_comes_back_as_it_was(open_client: OpenClient, size: int) -> None:
    one, other = await open_client(), await open_client()
    data = random.Random(size).randbytes(size)
    name = new_blob_id()
    blob = await one.put_blob(name, data)
    assert blob == Blob(name, size, hashlib.sha256(data).hexdigest())
    assert await other.get_blob(blob) == data


async def test_a_blob_that_never_was_is_not_found(store: Store) -> None:
    for size in (0, TWO_PARTS):
        with pytest.raises(NotFound, match="missing"):
            await store.get_blob(Blob(new_blob_id(), size, "0" * 64))


async def test_a_blob_with_a_part_missing_is_not_found(store: Store, backend: Backend) -> None:
    blob = await store.put_blob(new_blob_id(), os.urandom(TWO_PARTS))
    backend.damage.lose_a_part(blob)
    with pytest.raises(NotFound, match=blob.id):
        await store.get_blob(blob)


async def test_one_flipped_byte_is_noticed(store: Store, backend: Backend) -> None:
    blob = await store.put_blob(new_blob_id(), os.urandom(TWO_PARTS))
    backend.damage.flip_a_byte(blob)
    with pytest.raises(CorruptState, match=blob.id):
        await store.get_blob(blob)


async def test_a_blob_of_another_size_is_noticed(store: Store) -> None:
    blob = await store.put_blob(new_blob_id(), os.urandom(TWO_PARTS))
    with pytest.raises(CorruptState):
        await store.get_blob(Blob(blob.id, blob.size_bytes - 1, blob.sha256))


async def test_a_blob_may_be_put_twice(store: Store) -> None:
    data = os.urandom(TWO_PARTS)
    blob = await store.put_blob(new_blob_id(), data)
    assert await store.put_blob(blob.id, data) == blob
    assert await store.get_blob(blob) == data


async def test_a_blob_may_be_deleted_twice(store: Store) -> None:
    blob = await store.put_blob(new_blob_id(), os.urandom(TWO_PARTS))
    other = await store.put_blob(new_blob_id(), os.urandom(TWO_PARTS))
    await store.delete_blob(blob.id)
    with pytest.raises(NotFound):
        await store.get_blob(blob)
    await store.delete_blob(blob.id)
    await store.delete_blob(new_blob_id())
    await store.get_blob(other)


async def test_every_blob_is_listed_until_it_is_deleted(store: Store) -> None:
    small = await store.put_blob(new_blob_id(), b"")
    large = await store.put_blob(new_blob_id(), os.urandom(TWO_PARTS))
    listed = [blob async for blob in store.blobs()]
    assert listed.count(small.id) == listed.count(large.id) == 1
    await store.delete_blob(large.id)
    listed = [blob async for blob in store.blobs()]
    assert small.id in listed
    assert large.id not in listed


async def test_rows_are_read_and_written_while_large_blobs_are(
    open_client: OpenClient, partition: str
) -> None:
    one, other = await open_client(), await open_client()
    data = os.urandom(48 * 2**20)

    async def put_and_get() -> None:
        assert await one.get_blob(await one.put_blob(new_blob_id(), data)) == data

    slowest_s = 0.0
    loop = asyncio.get_running_loop()
    busy = asyncio.ensure_future(put_and_get())
    turns = 0
    while not busy.done():
        start = loop.time()
        client = (one, other)[turns % 2]
        assert await client.commit(partition, [Write(f"{turns}", None, b"1")])
        assert await client.get(partition, f"{turns}")
        slowest_s = max(slowest_s, loop.time() - start)
        turns += 1
    await busy
    assert turns > 10
    # Far above what it takes, far below what waiting for the blob would take on a slow machine.
    assert slowest_s < 1.0


async def test_a_store_that_is_open_answers_a_ping(store: Store) -> None:
    await store.ping()


async def test_a_closed_store_refuses_and_may_be_closed_again(store: Store) -> None:
    blob = await store.put_blob(new_blob_id(), b"1")
    await store.close()
    await store.close()
    for call in (
        store.ping(),
        store.get("p", "k"),
        store.scan("p"),
        store.commit("p", [Write("k", None, b"")]),
        store.put_blob(new_blob_id(), b"1"),
        store.get_blob(blob),
        store.delete_blob(blob.id),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call


async def test_what_was_written_is_there_when_the_store_is_opened_again(
    open_client: OpenClient, partition: str
) -> None:
    first = await open_client()
    made = await first.commit(partition, [Write("k", None, b"v")])
    blob = await first.put_blob(new_blob_id(), b"bytes")
    await first.close()
    second = await open_client()
    row = await second.get(partition, "k")
    assert row is not None
    assert made == {"k": row.token}
    assert await second.get_blob(blob) == b"bytes"
