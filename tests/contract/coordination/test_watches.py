from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tally.coordination.base import Coordinator, Deleted, Put, Snapshot
from tally.coordination.feed import Feed
from tally.coordination.open import open_coordinator

if TYPE_CHECKING:
    from tests.contract.coordination.conftest import Backend, StartChild


async def tasks_are_back_to(before: set[asyncio.Task[Any]]) -> None:
    # gRPC ends its own tasks for a call a few turns of the loop after the call.
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)


async def test_a_watch_begins_with_what_is_there(coordinator: Coordinator) -> None:
    await coordinator.put("nodes/a", b"1")
    await coordinator.put("models/a", b"2")
    async with asyncio.timeout(5):
        first = await anext(coordinator.watch("nodes/"))
    assert isinstance(first, Snapshot)
    assert {key: item.value for key, item in first.items.items()} == {"nodes/a": b"1"}


async def test_a_watch_tells_changes_of_its_prefix_in_order(
    coordinator: Coordinator, other: Coordinator
) -> None:
    watch = coordinator.watch("nodes/")
    await anext(watch)
    revision = await other.put("nodes/a", b"1")
    await other.put("models/a", b"")
    await other.put("nodes/a", b"2")
    await other.delete("nodes/a")
    async with asyncio.timeout(5):
        first, second, third = await anext(watch), await anext(watch), await anext(watch)
    assert isinstance(first, Put)
    assert (first.item.key, first.item.value, first.item.revision) == ("nodes/a", b"1", revision)
    assert isinstance(second, Put)
    assert second.item.value == b"2"
    assert third == Deleted("nodes/a")


async def test_deleting_what_is_not_there_is_not_told(coordinator: Coordinator) -> None:
    watch = coordinator.watch("")
    await anext(watch)
    await coordinator.delete("nobody")
    await coordinator.put("a", b"")
    async with asyncio.timeout(5):
        assert isinstance(await anext(watch), Put)


async def test_a_change_between_the_snapshot_and_the_first_wait_is_told(
    coordinator: Coordinator,
) -> None:
    watch = coordinator.watch("")
    await anext(watch)
    for number in range(10):
        await coordinator.put("a", b"%d" % number)
    async with asyncio.timeout(5):
        told = [await anext(watch) for _ in range(10)]
    assert [event.item.value for event in told if isinstance(event, Put)] == [
        b"%d" % number for number in range(10)
    ]


async def test_a_thousand_changes_of_another_process_are_told_once_each_and_in_order(
    coordinator: Coordinator,
    start_child: StartChild,
) -> None:
    watch = coordinator.watch("event/")
    await anext(watch)
    child = await start_child("write", "1000")
    numbers: list[int] = []
    latencies_ms: list[float] = []
    async with asyncio.timeout(60):
        while len(numbers) < 1000:
            event = await anext(watch)
            now = time.monotonic_ns()
            assert isinstance(event, Put)
            number, began = map(int, event.item.value.split())
            numbers.append(number)
            latencies_ms.append((now - began) / 1e6)
        await child.wait()
    assert numbers == list(range(1000))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(watch), 0.2)
    print(f"median latency {statistics.median(latencies_ms):.1f} ms")


async def test_two_watches_of_one_client_are_both_told(coordinator: Coordinator) -> None:
    watches = [coordinator.watch("a"), coordinator.watch("")]
    for watch in watches:
        await anext(watch)
    await coordinator.put("a", b"")
    async with asyncio.timeout(5):
        for watch in watches:
            assert isinstance(await anext(watch), Put)


async def test_closing_a_watch_ends_its_task_and_its_iteration(coordinator: Coordinator) -> None:
    before = asyncio.all_tasks()
    watch = coordinator.watch("")
    await anext(watch)
    waiting = asyncio.create_task(anext(watch, None))
    await asyncio.sleep(0)
    assert isinstance(watch, Feed)
    await watch.aclose()
    await watch.aclose()
    async with asyncio.timeout(5):
        assert await waiting is None
    await tasks_are_back_to(before)


async def test_closing_the_client_ends_its_watches_and_tasks(coordinator: Coordinator) -> None:
    before = asyncio.all_tasks()
    watch = coordinator.watch("")
    await anext(watch)
    await coordinator.grant(2)
    await coordinator.close()
    with pytest.raises(StopAsyncIteration):
        await anext(watch)
    await tasks_are_back_to(before)


async def test_a_slow_consumer_gets_a_snapshot_in_place_of_what_it_missed(
    coordinator: Coordinator, other: Coordinator
) -> None:
    watch = coordinator.watch("")
    await anext(watch)
    large = 20 * [b"x" * 1024 * 1024]  # more than a watch keeps for its consumer
    for number, value in enumerate(large):
        await other.put(f"{number % 2}", value)
    await other.put("last", b"")
    async with asyncio.timeout(20):
        event = await anext(watch)
        while isinstance(event, Put) and event.item.key != "last":
            event = await anext(watch)
        assert isinstance(event, Snapshot)
        assert set(event.items) == {"0", "1", "last"}
        await other.put("after", b"")
        told = await anext(watch)
    assert isinstance(told, Put)
    assert told.item.key == "after"


KEYS = st.sampled_from(["a", "a/b", "b", "ab"])
CHANGES = st.lists(
    st.tuples(st.sampled_from(["put", "put leased", "delete", "replace"]), KEYS, st.binary())
    | st.just(("end lease", "", b"")),
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prefix=st.sampled_from(["", "a", "a/"]), changes=CHANGES)
async def test_a_snapshot_with_the_changes_after_it_is_what_a_list_says(
    backend: Backend, prefix: str, changes: list[tuple[str, str, bytes]]
) -> None:
    # Clients of its own: every example has an event loop of its own.
    writer, reader = (open_coordinator(backend.url, prefix=backend.prefix) for _ in range(2))
    watch = reader.watch(prefix)
    first = await anext(watch)
    assert isinstance(first, Snapshot)
    known = dict(first.items)
    lease = await writer.grant(60)
    for action, key, value in changes:
        match action:
            case "put":
                await writer.put(key, value)
            case "put leased":
                await writer.put(key, value, lease)
            case "delete":
                await writer.delete(key)
            case "replace":
                found = await writer.get(key)
                assert await writer.replace(key, value, found.revision if found else 0)
            case _:
                await lease.close()
                lease = await writer.grant(60)
    last = await writer.put(f"{prefix}end", b"")
    async with asyncio.timeout(10):
        while f"{prefix}end" not in known or known[f"{prefix}end"].revision != last:
            event = await anext(watch)
            match event:
                case Put(item):
                    known[item.key] = item
                case Deleted(gone):
                    del known[gone]
    assert known == (await reader.list(prefix)).items
    await lease.close()
    await writer.close()
    await reader.close()
