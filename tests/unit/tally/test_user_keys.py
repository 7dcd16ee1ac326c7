from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.errors import StoreUnavailable
from tally.master_key import MasterKey
from tally.store.base import Row
from tally.store.sqlite import SqliteStore
from tally.user_keys import MAX_AGE_S, UserKeys
from tally.users import Users

MASTER = MasterKey(bytes(32))


class CountingStore(SqliteStore):
    """A store that counts what is read, and can be away."""

    reads = 0
    away = False

    async def get(self, partition: str, key: str, *, fresh: bool = False) -> Row | None:
        self.reads += 1
        if self.away:
            raise StoreUnavailable("away")
        return await super().get(partition, key, fresh=fresh)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CountingStore]:
    opened = CountingStore(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
def users(store: CountingStore, clock: ManualClock) -> Users:
    return Users(store, MASTER, clock)


@pytest.fixture
def keys(users: Users, clock: ManualClock) -> UserKeys:
    return UserKeys(users, clock, size=3)


async def test_a_key_is_read_once_in_a_while(
    users: Users, keys: UserKeys, store: CountingStore, clock: ManualClock
) -> None:
    key = await users.add("ann")
    store.reads = 0
    for _ in range(5):
        assert await keys.get("ann") == key
    assert store.reads == 1
    await clock.advance(MAX_AGE_S)
    assert await keys.get("ann") == key
    assert store.reads == 2


async def test_a_rotated_and_a_deleted_key_are_taken_for_a_moment_at_most(
    users: Users, keys: UserKeys, clock: ManualClock
) -> None:
    old = await users.add("ann")
    await keys.get("ann")
    new = await users.rotate("ann")
    await clock.advance(MAX_AGE_S - 0.01)
    assert await keys.get("ann") == old
    await clock.advance(0.01)
    assert await keys.get("ann") == new
    await users.delete("ann")
    await clock.advance(MAX_AGE_S)
    assert await keys.get("ann") is None


async def test_an_unknown_customer_is_remembered_and_then_seen_when_added(
    users: Users, keys: UserKeys, store: CountingStore, clock: ManualClock
) -> None:
    store.reads = 0
    for _ in range(5):
        assert await keys.get("ann") is None
    assert store.reads == 1
    key = await users.add("ann")
    await clock.advance(MAX_AGE_S)
    assert await keys.get("ann") == key
    assert len(keys) == 1


async def test_unknown_names_are_bounded_and_push_no_key_out(
    users: Users, keys: UserKeys, store: CountingStore
) -> None:
    await users.add("ann")
    await keys.get("ann")
    for number in range(50):
        assert await keys.get(f"stranger-{number}") is None
    assert len(keys) == 1 + 3
    store.reads = 0
    await keys.get("ann")
    assert store.reads == 0


async def test_known_customers_are_bounded_too(users: Users, keys: UserKeys) -> None:
    for number in range(10):
        await users.add(f"user-{number}")
        await keys.get(f"user-{number}")
    assert len(keys) == 3


async def test_what_cannot_be_a_customer_is_neither_read_nor_remembered(
    keys: UserKeys, store: CountingStore
) -> None:
    for cid in ("", "a/b", "x" * 10_000, "\n"):
        assert await keys.get(cid) is None
    assert (store.reads, len(keys)) == (0, 0)


async def test_without_the_store_a_key_is_known_for_its_moment_only(
    users: Users, keys: UserKeys, store: CountingStore, clock: ManualClock
) -> None:
    key = await users.add("ann")
    await keys.get("ann")
    store.away = True
    assert await keys.get("ann") == key
    await clock.advance(MAX_AGE_S)
    with pytest.raises(StoreUnavailable):
        await keys.get("ann")
    store.away = False
    assert await keys.get("ann") == key
