"""Rows under compare-and-set."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tally.errors import OutcomeUnknown
from tally.store.base import Check, Store, Token, Write

if TYPE_CHECKING:
    from tests.contract.store.conftest import OpenClient

STALE = Token("0" * 32)


async def make(store: Store, partition: str, **values: bytes) -> dict[str, Token]:
    made = await store.commit(partition, [Write(key, None, value) for key, value in values.items()])
    assert made is not None
    return dict(made)


async def content(store: Store, partition: str) -> dict[str, bytes]:
    return {row.key: row.value for row in await store.scan(partition)}


async def test_an_absent_row_reads_as_none(store: Store, partition: str) -> None:
    assert await store.get(partition, "a") is None
    assert await store.get(partition, "a", fresh=True) is None


async def test_a_committed_row_is_read_back_with_its_token(store: Store, partition: str) -> None:
    made = await make(store, partition, a=b"1")
    row = await store.get(partition, "a")
    assert row is not None
    assert (row.key, row.value, row.token) == ("a", b"1", made["a"])
    assert await store.get(partition, "a", fresh=True) == row


async def test_an_empty_value_is_a_value(store: Store, partition: str) -> None:
    await make(store, partition, a=b"")
    row = await store.get(partition, "a")
    assert row is not None
    assert row.value == b""


async def test_another_client_sees_the_row(open_client: OpenClient, partition: str) -> None:
    one, other = await open_client(), await open_client()
    await make(one, partition, a=b"1")
    assert await content(other, partition) == {"a": b"1"}


async def test_a_row_is_in_its_partition_only(store: Store, partition: str) -> None:
    await make(store, partition, a=b"1")
    assert await store.get(f"{partition}2", "a") is None
    assert await store.scan(f"{partition}2") == []


async def test_inserting_a_row_that_exists_changes_nothing(store: Store, partition: str) -> None:
    await make(store, partition, a=b"1")
    assert await store.commit(partition, [Write("a", None, b"2")]) is None
    assert await content(store, partition) == {"a": b"1"}


async def test_updating_an_absent_row_does_not_create_it(store: Store, partition: str) -> None:
    assert await store.commit(partition, [Write("a", STALE, b"2")]) is None
    assert await content(store, partition) == {}


async def test_a_token_is_good_for_one_update(store: Store, partition: str) -> None:
    first = await make(store, partition, a=b"1")
    second = await store.commit(partition, [Write("a", first["a"], b"2")])
    assert second is not None
    assert second["a"] != first["a"]
    assert await store.commit(partition, [Write("a", first["a"], b"3")]) is None
    assert await content(store, partition) == {"a": b"2"}


async def test_writing_the_same_value_gives_a_new_token(store: Store, partition: str) -> None:
    first = await make(store, partition, a=b"1")
    second = await store.commit(partition, [Write("a", first["a"], b"1")])
    assert second is not None
    assert second["a"] != first["a"]


async def test_deleting_takes_the_present_token(store: Store, partition: str) -> None:
    made = await make(store, partition, a=b"1")
    assert await store.commit(partition, [Write("a", STALE, None)]) is None
    assert await content(store, partition) == {"a": b"1"}
    assert await store.commit(partition, [Write("a", made["a"], None)]) == {}
    assert await store.get(partition, "a") is None
    assert await store.commit(partition, [Write("a", made["a"], None)]) is None


async def test_a_deleted_row_can_be_made_again(store: Store, partition: str) -> None:
    made = await make(store, partition, a=b"1")
    await store.commit(partition, [Write("a", made["a"], None)])
    again = await make(store, partition, a=b"2")
    assert again["a"] != made["a"]
    assert await content(store, partition) == {"a": b"2"}


async def test_a_commit_may_depend_on_a_row_staying_absent(store: Store, partition: str) -> None:
    assert await store.commit(partition, [Write("a", None, None), Write("b", None, b"1")])
    assert await content(store, partition) == {"b": b"1"}
    assert await store.commit(partition, [Write("b", None, None), Write("c", None, b"1")]) is None
    assert await content(store, partition) == {"b": b"1"}


async def test_one_commit_inserts_updates_deletes_and_checks(store: Store, partition: str) -> None:
    made = await make(store, partition, update=b"1", delete=b"1", check=b"1")
    done = await store.commit(
        partition,
        [
            Write("insert", None, b"2"),
            Write("update", made["update"], b"2"),
            Write("delete", made["delete"], None),
        ],
        [Check("check", made["check"])],
    )
    assert done is not None
    assert done.keys() == {"insert", "update"}
    assert await content(store, partition) == {"insert": b"2", "update": b"2", "check": b"1"}


async def test_a_check_leaves_its_row_as_it_was(store: Store, partition: str) -> None:
    made = await make(store, partition, check=b"1")
    before = await store.get(partition, "check")
    for _ in range(2):
        writes = [Write(f"{random.random()}", None, b"")]
        assert await store.commit(partition, writes, [Check("check", made["check"])])
    assert await store.get(partition, "check") == before


@pytest.mark.parametrize("odd", ["insert", "update", "delete", "check"])
async def test_one_expectation_that_fails_stops_the_whole_commit(
    store: Store, partition: str, odd: str
) -> None:
    made = await make(store, partition, update=b"1", delete=b"1", check=b"1")
    tokens = {**made, odd: STALE}
    insert = "update" if odd == "insert" else "insert"
    writes = [Write(insert, None, b"2"), Write("delete", tokens["delete"], None)]
    if odd != "insert":
        writes.append(Write("update", tokens["update"], b"2"))
    before = await store.scan(partition)
    assert await store.commit(partition, writes, [Check("check", tokens["check"])]) is None
    assert await store.scan(partition) == before


async def test_a_check_of_an_absent_row_stops_the_commit(store: Store, partition: str) -> None:
    writes = [Write("a", None, b"1")]
    assert await store.commit(partition, writes, [Check("gone", STALE)]) is None
    assert await content(store, partition) == {}


async def test_sixteen_committers_count_exactly(open_client: OpenClient, partition: str) -> None:
    clients = [await open_client() for _ in range(4)]
    await make(clients[0], partition, counter=b"0")

    async def count(store: Store, name: str) -> int:
        """Add one three times; the value names who added last, which decides lost answers."""
        refused = 0
        for i in range(3):
            mine = f"{name}.{i}".encode()
            while True:
                row = await store.get(partition, "counter", fresh=refused > 0)
                assert row is not None
                number, _, _last = row.value.partition(b" ")
                proof = Write(f"proof/{name}.{i}", None, b"")
                update = Write("counter", row.token, b"%d %s" % (int(number) + 1, mine))
                try:
                    if await store.commit(partition, [update, proof]) is not None:
                        break
                except OutcomeUnknown:
                    if await store.get(partition, proof.key, fresh=True) is not None:
                        break
                refused += 1
                await asyncio.sleep(random.uniform(0, 0.02))
        return refused

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(count(clients[i % 4], f"c{i}")) for i in range(16)]
    row = await clients[0].get(partition, "counter", fresh=True)
    assert row is not None
    assert int(row.value.partition(b" ")[0]) == 48
    assert len(await clients[0].scan(partition, "proof/")) == 48
    assert sum(task.result() for task in tasks) > 0, "they never met"


KEYS = ["a", "a/1", "a/10", "a/2", "b", "ß", "é", "日本", "\ud7ff", "\ue000", "\U0001f600", "z"]


async def test_a_scan_is_in_the_order_of_code_points(store: Store, partition: str) -> None:
    await store.commit(partition, [Write(key, None, key.encode()) for key in KEYS])
    rows = await store.scan(partition)
    assert [row.key for row in rows] == sorted(KEYS)
    assert [row.value for row in rows] == [key.encode() for key in sorted(KEYS)]
    assert await store.scan(partition, fresh=True) == rows


async def test_a_scan_takes_prefix_after_and_limit(store: Store, partition: str) -> None:
    await store.commit(partition, [Write(key, None, b"") for key in KEYS])

    async def keys(prefix: str = "", after: str = "", limit: int = 1000) -> list[str]:
        found = await store.scan(partition, prefix, after=after, limit=limit)
        return [row.key for row in found]

    assert await keys("a") == ["a", "a/1", "a/10", "a/2"]
    assert await keys("a/") == ["a/1", "a/10", "a/2"]
    assert await keys("a/1") == ["a/1", "a/10"]
    assert await keys("a/", after="a/1") == ["a/10", "a/2"]
    assert await keys("a/", after="a") == ["a/1", "a/10", "a/2"]
    assert await keys("a/", after="z") == []
    assert await keys("a/", limit=2) == ["a/1", "a/10"]
    assert await keys("\ud7ff") == ["\ud7ff"]
    assert await keys("日") == ["日本"]
    assert await keys("nothing") == []
    assert await keys(after="z", limit=1) == ["ß"]


async def test_a_long_scan_pages_to_the_end(store: Store, partition: str) -> None:
    for start in range(0, 450, 50):
        writes = [Write(f"{i:04}", None, b"x") for i in range(start, start + 50)]
        assert await store.commit(partition, writes)
    wanted = [f"{i:04}" for i in range(450)]
    assert [row.key for row in await store.scan(partition)] == wanted
    assert [row.key for row in await store.scan(partition, fresh=True)] == wanted
    paged: list[str] = []
    while rows := await store.scan(partition, after=paged[-1] if paged else "", limit=199):
        paged += [row.key for row in rows]
    assert paged == wanted


def text(min_size: int = 0, max_size: int = 3) -> st.SearchStrategy[str]:
    """Give text of characters that lie at the ends of ranges more often than others."""
    edges = st.sampled_from("\0a\ud7ff\ue000\U0010ffff")
    return st.text(
        edges | st.characters(exclude_categories=["Cs"]), min_size=min_size, max_size=max_size
    )


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    keys=st.sets(text(min_size=1, max_size=3), max_size=6),
    prefix=text(max_size=1),
    after=text(max_size=2),
    limit=st.integers(1, 7),
)
async def test_a_scan_is_what_python_would_filter(
    store: Store, partition: str, keys: set[str], prefix: str, after: str, limit: int
) -> None:
    own = f"{partition}{uuid.uuid4().hex}"
    if keys:
        assert await store.commit(own, [Write(key, None, b"") for key in keys])
    wanted = sorted(key for key in keys if key.startswith(prefix) and key > after)[:limit]
    found = await store.scan(own, prefix, after=after, limit=limit)
    assert [row.key for row in found] == wanted
