"""The server dies by SIGKILL, hangs, and comes back."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tally.errors import OutcomeUnknown, StoreUnavailable
from tally.ids import new_blob_id
from tally.store.base import Store, Write

if TYPE_CHECKING:
    from tests.conftest import Server
    from tests.integration.cql.conftest import Open, Until


async def test_kill_9_under_sixteen_committers_loses_and_doubles_nothing(
    private_cql: Server, open_at: Open, until: Until
) -> None:
    stores = [await open_at(private_cql.url) for _ in range(4)]
    assert await stores[0].commit("p", [Write("counter", None, b"0")])
    acknowledged: list[str] = []
    unknown: list[str] = []
    stop = asyncio.Event()

    async def count(store: Store, name: str) -> None:
        """Add one, with a row of its own in the same commit that proves it."""
        i = 0
        while not stop.is_set():
            proof = f"proof/{name}.{i}"
            i += 1
            try:
                while not await add(store, proof):  # noqa: ASYNC110 - somebody else was quicker
                    await asyncio.sleep(random.uniform(0, 0.02))
            except OutcomeUnknown:
                unknown.append(proof)
            except StoreUnavailable:
                await asyncio.sleep(0.1)
            else:
                acknowledged.append(proof)

    async def add(store: Store, proof: str) -> bool:
        row = await store.get("p", "counter", fresh=True)
        assert row is not None
        value = b"%d" % (int(row.value) + 1)
        writes = [Write("counter", row.token, value), Write(proof, None, b"")]
        return await store.commit("p", writes) is not None

    async def more(count: int) -> None:
        wanted = len(acknowledged) + count

        async def enough() -> bool:
            return len(acknowledged) >= wanted

        await until(enough)

    async with asyncio.TaskGroup() as group:
        for i in range(16):
            group.create_task(count(stores[i % 4], f"c{i}"))
        for _ in range(2):
            await more(40)
            await asyncio.to_thread(private_cql.restart)
        await more(16)
        stop.set()

    row = await stores[0].get("p", "counter", fresh=True)
    assert row is not None
    proofs = {row.key for row in await stores[0].scan("p", "proof/", limit=100_000, fresh=True)}
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= proofs, "an acknowledged commit is gone"
    assert proofs <= set(acknowledged) | set(unknown), "a commit that was refused is there"
    assert int(row.value) == len(proofs), "a commit was half applied, or twice"


async def test_a_dead_server_is_unavailable_at_once_and_its_return_is_noticed(
    private_cql: Server, open_at: Open, until: Until
) -> None:
    store = await open_at(private_cql.url)
    made = await store.commit("p", [Write("k", None, b"1")])
    assert made is not None
    blob = await store.put_blob(new_blob_id(), b"x" * 2_000_000)
    await asyncio.to_thread(private_cql.kill)
    with pytest.raises(StoreUnavailable):
        await store.get("p", "k")  # the driver may learn of the death by this one
    calls = [
        store.get("p", "k"),
        store.scan("p"),
        store.commit("p", [Write("k", made["k"], b"2")]),
        store.put_blob(new_blob_id(), b"x" * 2_000_000),
        store.get_blob(blob),
        store.delete_blob(new_blob_id()),
        store.ping(),
    ]
    async with asyncio.timeout(2):
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert type(error) is StoreUnavailable
    await asyncio.to_thread(private_cql.start)

    async def answers() -> bool:
        try:
            await store.ping()
        except StoreUnavailable:
            return False
        return True

    await until(answers)
    assert await store.get_blob(blob) == b"x" * 2_000_000
    assert await store.commit("p", [Write("k", made["k"], b"2")])
