from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tally import users as module
from tally.clock import ManualClock
from tally.errors import (
    ConfigurationError,
    Conflict,
    CorruptState,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
)
from tally.master_key import MasterKey
from tally.projects.job import JobState
from tally.projects.jobs import Jobs
from tally.projects.projects import Projects
from tally.projects.records import Options
from tally.store.base import Check, Row, Token, Write
from tally.store.sqlite import SqliteStore
from tally.users import PARTITION, Users
from tally.wire.secret_key import SecretKey

MASTER = MasterKey(bytes(range(32)))
KEY = SecretKey(bytes(range(16)))
GOLDEN = Path(__file__).parents[2] / "golden" / "user.v1.json"


class TryingStore(SqliteStore):
    """A store whose rows change behind one's back, and that loses answers to its commits.

    Attributes:
        meanwhile: done once, after the next row was read.
        lost_answers: how many of the next commits happen and are not acknowledged.
    """

    meanwhile: Callable[[], Awaitable[object]] | None = None
    lost_answers = 0

    async def get(self, partition: str, key: str, *, fresh: bool = False) -> Row | None:
        row = await super().get(partition, key, fresh=fresh)
        if meanwhile := self.meanwhile:
            self.meanwhile = None
            await meanwhile()
        return row

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        done = await super().commit(partition, writes, checks)
        if self.lost_answers:
            self.lost_answers -= 1
            raise OutcomeUnknown("the answer was lost")
        return done


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[TryingStore]:
    opened = TryingStore(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
def users(store: SqliteStore, clock: ManualClock) -> Users:
    return Users(store, MASTER, clock)


async def test_an_added_customer_has_the_key_that_add_returned(users: Users) -> None:
    made = await users.add("ann@example.org")
    assert await users.key("ann@example.org") == made
    assert len(made.raw) == 16
    assert made != await users.add("bob")


async def test_a_key_of_ones_own_is_taken(users: Users) -> None:
    assert await users.add("ann", KEY) == KEY
    assert await users.key("ann") == KEY


async def test_a_customer_is_made_once(users: Users) -> None:
    made = await users.add("ann")
    with pytest.raises(Conflict, match="'ann'"):
        await users.add("ann")
    assert await users.key("ann") == made


async def test_of_many_that_add_at_once_one_succeeds(users: Users) -> None:
    results = await asyncio.gather(*(users.add("ann") for _ in range(8)), return_exceptions=True)
    (made,) = [key for key in results if isinstance(key, SecretKey)]
    assert sum(isinstance(error, Conflict) for error in results) == 7
    assert await users.key("ann") == made


@pytest.mark.parametrize("cid", ["", "a/b", "a b", "ü", "a\n", "x" * 129, "\ud800", "%"])
async def test_a_customer_has_an_id_that_can_stand_in_a_url(users: Users, cid: str) -> None:
    for call in (users.add, users.get, users.rotate, users.delete):
        with pytest.raises(InvalidInput, match=r"^cid: "):
            await call(cid)
    assert await users.key(cid) is None


async def test_nobody_unknown_has_a_key(users: Users) -> None:
    assert await users.key("nobody") is None
    for call in (users.get, users.rotate, users.delete):
        with pytest.raises(NotFound, match="'nobody'"):
            await call("nobody")


async def test_a_rotated_key_replaces_the_old_one(users: Users, clock: ManualClock) -> None:
    old = await users.add("ann")
    created = clock.now().isoformat()
    await clock.advance(60)
    new = await users.rotate("ann")
    assert new != old
    assert await users.key("ann") == new
    user = await users.get("ann")
    assert (user.generation, user.created_at) == (2, created)
    assert user.changed_at == clock.now().isoformat() != created
    assert await users.rotate("ann", KEY) == KEY
    assert (await users.get("ann")).generation == 3


async def test_of_two_that_rotate_at_once_none_believes_in_a_key_that_is_not_there(
    users: Users,
) -> None:
    await users.add("ann")
    results = await asyncio.gather(*(users.rotate("ann") for _ in range(4)), return_exceptions=True)
    kept = [key for key in results if isinstance(key, SecretKey)]
    assert kept
    assert all(isinstance(error, SecretKey | Conflict) for error in results)
    # Each that succeeded did so on top of the one before.
    assert (await users.get("ann")).generation == 1 + len(kept)
    assert await users.key("ann") in kept


async def test_a_deleted_customer_is_gone_and_the_id_free(users: Users) -> None:
    old = await users.add("ann")
    await users.delete("ann")
    assert await users.key("ann") is None
    assert await users.list() == []
    assert await users.add("ann") != old


async def test_a_customer_with_projects_is_not_deleted(
    users: Users, store: TryingStore, clock: ManualClock
) -> None:
    projects, key = Projects(store, clock), await users.add("ann")
    made = [await projects.create("ann", pid, Options()) for pid in ("p", "q")]
    await users.add("bob")
    for project, them in zip(made, ("2 projects:", "1 project:"), strict=True):
        with pytest.raises(Conflict, match=f"'ann' has {them} .* `tally project delete`"):
            await users.delete("ann")
        assert await users.key("ann") == key
        await projects.delete(project)
    await users.delete("ann")
    assert await users.key("ann") is None


async def test_the_next_customer_of_an_id_finds_no_jobs(
    users: Users, store: TryingStore, clock: ManualClock
) -> None:
    jobs = Jobs(store, clock, keep_s=60, limit=1000)
    for cid in ("ann", "bob"):
        await users.add(cid)
    started = [await jobs.start("ann", "vif", details={}) for _ in range(60)]
    small = await jobs.done("ann", started[0], b"{}")
    large = await jobs.done("ann", started[1], b"x" * 100_000)
    others = await jobs.start("bob", "vif", details={})
    assert small is not None
    assert large is not None
    store.lost_answers = 1
    await users.delete("ann")
    assert await store.scan("jobs/ann") == []
    assert [blob async for blob in store.blobs()] == []
    assert await jobs.find("bob", others.id) == others
    # The broker that runs one finds it taken away.
    assert await jobs.beat("ann", started[2], JobState.RUNNING) is None
    await users.add("ann")
    assert await jobs.list("ann") == []


async def test_a_customer_made_again_meanwhile_is_not_the_one_to_delete_or_rotate(
    users: Users, store: TryingStore, clock: ManualClock
) -> None:
    async def made_again() -> None:
        await users.delete("ann")
        await clock.advance(1)
        await users.add("ann", KEY)

    await users.add("ann")
    for call in (users.delete, users.rotate):
        store.meanwhile = made_again
        with pytest.raises(Conflict, match="'ann' was changed by somebody else"):
            await call("ann")
    assert await users.key("ann") == KEY


async def test_a_customer_deleted_twice_at_once_is_deleted(
    users: Users, store: TryingStore
) -> None:
    await users.add("ann")
    store.meanwhile = lambda: users.delete("ann")
    await users.delete("ann")
    assert await users.list() == []


async def test_customers_are_listed_in_order_over_all_pages(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    for cid in ("bob", "ann", "Eve", "dan", "c-c"):
        await users.add(cid)
    assert [user.cid for user in await users.list()] == ["Eve", "ann", "bob", "c-c", "dan"]


@pytest.mark.parametrize("lost", [1, 3])
async def test_a_change_whose_answer_was_lost_is_recognised(
    users: Users, store: TryingStore, lost: int
) -> None:
    store.lost_answers = lost
    key = await users.add("ann")
    assert await users.key("ann") == key
    store.lost_answers = lost
    key = await users.rotate("ann")
    assert await users.key("ann") == key
    store.lost_answers = lost
    await users.delete("ann")
    assert await users.key("ann") is None


async def test_no_key_is_in_the_file_of_the_store(
    users: Users, store: SqliteStore, tmp_path: Path
) -> None:
    await users.add("ann", KEY)
    await store.close()
    with sqlite3.connect(tmp_path / "store.db") as file:
        dump = "\n".join(file.iterdump()).encode()
    assert b"ann" in dump
    for form in (
        KEY.raw,
        KEY.text.encode(),
        KEY.raw.hex().encode(),
        KEY.raw.hex().upper().encode(),
    ):
        assert form not in dump


async def test_a_key_sealed_under_another_master_key_is_told_with_the_remedy(
    users: Users, store: SqliteStore, clock: ManualClock
) -> None:
    await users.check_master_key()
    await users.add("ann", KEY)
    await users.check_master_key()
    others = Users(store, MasterKey(bytes(32)), clock)
    for call in (others.check_master_key(), others.key("ann")):
        with pytest.raises(ConfigurationError, match="TALLY_MASTER_KEY") as caught:
            await call
        assert KEY.text not in str(caught.value)


async def test_a_sealed_key_that_was_moved_to_another_customer_is_refused(
    users: Users, store: SqliteStore
) -> None:
    await users.add("ann")
    await users.add("eve")
    ann, eve = await store.get(PARTITION, "ann"), await store.get(PARTITION, "eve")
    assert ann is not None
    assert eve is not None
    moved = json.loads(ann.value) | {"cid": "eve"}
    await store.commit(PARTITION, [Write("eve", eve.token, json.dumps(moved).encode())])
    with pytest.raises(CorruptState, match="'eve'"):
        await users.key("eve")


async def test_what_the_first_release_stored_can_be_read_for_ever(
    users: Users, store: SqliteStore
) -> None:
    await store.commit(PARTITION, [Write("ann@example.org", None, GOLDEN.read_bytes())])
    assert await users.key("ann@example.org") == KEY
    user = await users.get("ann@example.org")
    assert (user.generation, user.created_at) == (1, "2026-01-01T00:00:00+00:00")


async def test_a_record_of_a_later_release_with_more_members_is_read(
    users: Users, store: SqliteStore
) -> None:
    await users.add("ann", KEY)
    row = await store.get(PARTITION, "ann")
    assert row is not None
    more = json.loads(row.value) | {"quota": 7}
    await store.commit(PARTITION, [Write("ann", row.token, json.dumps(more).encode())])
    assert await users.key("ann") == KEY
