from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc.aio
import pytest
from aetcd import rpc

from tally.coordination.base import (
    Coordinator,
    Deleted,
    Disconnected,
    Event,
    Put,
    Reconnected,
    Snapshot,
)
from tally.coordination.open import open_coordinator
from tally.errors import CoordinationUnavailable

if TYPE_CHECKING:
    from tests.integration.etcd.conftest import Etcd, Link


@pytest.fixture
async def direct(etcd: Etcd) -> AsyncIterator[Coordinator]:
    """A client that the link does not concern."""
    coordinator = open_coordinator(f"etcd://{etcd.endpoint}")
    yield coordinator
    await coordinator.close()


@pytest.fixture
async def linked(link: Link) -> AsyncIterator[Coordinator]:
    coordinator = open_coordinator(f"etcd://{link.endpoint}")
    yield coordinator
    await coordinator.close()


async def next_of(watch: AsyncIterator[Event], within_s: float = 15) -> Event:
    async with asyncio.timeout(within_s):
        return await anext(watch)


async def compact(etcd: Etcd, revision: int) -> None:
    async with grpc.aio.insecure_channel(etcd.endpoint) as channel:
        await rpc.KVStub(channel).Compact(rpc.CompactionRequest(revision=revision, physical=True))


async def put_until_done(coordinator: Coordinator, key: str, value: bytes) -> None:
    while True:
        with contextlib.suppress(CoordinationUnavailable):
            await coordinator.put(key, value)
            return


async def test_a_watch_loses_and_repeats_nothing_while_etcd_is_killed_under_3000_puts(
    etcd: Etcd, direct: Coordinator
) -> None:
    async def write() -> None:
        for number in range(3000):
            await put_until_done(direct, f"event/{number % 7}", b"%d" % number)

    async def kill_twice() -> None:
        for at in (b"700", b"2000"):
            await reached[at].wait()
            await asyncio.to_thread(etcd.kill)
            await asyncio.to_thread(etcd.start)

    watch = direct.watch("event/")
    assert isinstance(await next_of(watch), Snapshot)
    reached = {b"700": asyncio.Event(), b"2000": asyncio.Event()}
    told: list[Put] = []
    outages: list[Event] = []
    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(kill_twice())
        while not told or told[-1].item.value != b"2999":
            event = await anext(watch)
            if isinstance(event, Put):
                told.append(event)
                if event.item.value in reached:
                    reached[event.item.value].set()
            else:
                outages.append(event)
    # Nobody else writes, so that each revision is one of our puts, a repeated one included.
    revisions = [event.item.revision for event in told]
    assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))
    assert {event.item.value for event in told} == {b"%d" % number for number in range(3000)}
    assert [type(event) for event in outages] == [Disconnected, Reconnected] * 2


async def test_a_watch_cut_off_resumes_with_what_it_missed(
    direct: Coordinator, linked: Coordinator, link: Link
) -> None:
    await direct.put("a", b"1")
    watch = linked.watch("")
    await next_of(watch)
    await link.cut()
    assert isinstance(await next_of(watch), Disconnected)
    await direct.put("a", b"2")
    await direct.delete("a")
    await link.mend()
    assert await next_of(watch) == Reconnected()
    told = await next_of(watch)
    assert isinstance(told, Put)
    assert told.item.value == b"2"
    assert await next_of(watch) == Deleted("a")


async def test_a_watch_cut_off_through_a_compaction_gets_a_snapshot(
    etcd: Etcd, direct: Coordinator, linked: Coordinator, link: Link
) -> None:
    await direct.put("gone", b"")
    watch = linked.watch("")
    first = await next_of(watch)
    assert isinstance(first, Snapshot)
    await link.cut()
    assert isinstance(await next_of(watch), Disconnected)
    await direct.delete("gone")
    for number in range(20):
        revision = await direct.put("a", b"%d" % number)
    await compact(etcd, revision)
    await link.mend()
    assert await next_of(watch) == Reconnected()
    again = await next_of(watch)
    assert isinstance(again, Snapshot)
    assert {key: item.value for key, item in again.items.items()} == {"a": b"19"}
    assert again.incarnation == first.incarnation
    await direct.put("a", b"20")
    assert isinstance(await next_of(watch), Put)


async def test_an_emptied_etcd_is_a_new_incarnation_with_no_leases(
    etcd: Etcd, direct: Coordinator
) -> None:
    lease = await direct.grant(2)
    for number in range(50):  # well ahead of where the new history begins
        await direct.put("a", b"%d" % number, lease)
    watch = direct.watch("")
    first = await next_of(watch)
    assert isinstance(first, Snapshot)
    await asyncio.to_thread(etcd.kill)
    etcd.empty()
    await asyncio.to_thread(etcd.start)
    assert isinstance(await next_of(watch), Disconnected)
    assert await next_of(watch) == Reconnected()
    again = await next_of(watch)
    assert isinstance(again, Snapshot)
    assert not again.items
    assert again.incarnation != first.incarnation
    async with asyncio.timeout(10):
        await lease.wait_ended()
    await direct.put("a", b"again", await direct.grant(2))
    told = await next_of(watch)
    assert isinstance(told, Put)
    assert told.item.value == b"again"


async def test_a_history_that_overtook_ours_is_not_mistaken_for_it(
    etcd: Etcd, direct: Coordinator, linked: Coordinator, link: Link
) -> None:
    await direct.put("mine", b"")
    watch = linked.watch("")
    first = await next_of(watch)
    await link.cut()
    assert isinstance(await next_of(watch), Disconnected)
    await asyncio.to_thread(etcd.kill)
    etcd.empty()
    await asyncio.to_thread(etcd.start)
    for number in range(200):
        await put_until_done(direct, "other", b"%d" % number)
    await link.mend()
    assert await next_of(watch) == Reconnected()
    again = await next_of(watch)
    assert isinstance(first, Snapshot)
    assert isinstance(again, Snapshot)
    assert set(again.items) == {"other"}
    assert again.incarnation != first.incarnation


async def test_a_restored_backup_is_a_new_incarnation_for_everybody(
    etcd: Etcd, direct: Coordinator, linked: Coordinator
) -> None:
    await direct.put("a", b"old")
    before = await direct.list("")
    await asyncio.to_thread(etcd.kill)
    etcd.save()
    await asyncio.to_thread(etcd.start)
    for number in range(20):
        await put_until_done(direct, "a", b"%d" % number)
    watches = [direct.watch(""), linked.watch("a"), linked.watch("b")]
    for watch in watches:
        await next_of(watch)
    await asyncio.to_thread(etcd.kill)
    etcd.restore()
    await asyncio.to_thread(etcd.start)
    incarnations = set()
    for watch in watches:
        event = await next_of(watch)
        while not isinstance(event, Snapshot):
            event = await next_of(watch)
        incarnations.add(event.incarnation)
    assert before.incarnation not in incarnations
    # The first to notice names the new history; whoever listed in between lists again.
    final = (await direct.list("")).incarnation
    assert final != before.incarnation
    assert final in incarnations


async def test_keys_wiped_by_hand_are_a_new_incarnation(etcd: Etcd, direct: Coordinator) -> None:
    await direct.put("a", b"")
    watch = direct.watch("nodes/")
    first = await next_of(watch)
    async with grpc.aio.insecure_channel(etcd.endpoint) as channel:
        await rpc.KVStub(channel).DeleteRange(rpc.DeleteRangeRequest(key=b"\0", range_end=b"\0"))
    again = await next_of(watch)
    assert isinstance(first, Snapshot)
    assert isinstance(again, Snapshot)
    assert again.incarnation != first.incarnation


async def test_a_connection_that_fell_silent_is_noticed_within_five_seconds(
    direct: Coordinator, linked: Coordinator, link: Link
) -> None:
    watch = linked.watch("")
    await next_of(watch)
    link.fall_silent()
    began = time.monotonic()
    event = await next_of(watch)
    assert isinstance(event, Disconnected)
    assert "no word" in event.reason
    assert time.monotonic() - began < 5
    await direct.put("a", b"")
    link.speak_again()
    assert await next_of(watch, within_s=30) == Reconnected()
    assert isinstance(await next_of(watch), Put)


async def test_a_quiet_watch_on_a_good_connection_is_left_alone(direct: Coordinator) -> None:
    watch = direct.watch("")
    await next_of(watch)
    waiting = asyncio.ensure_future(anext(watch))
    done, _ = await asyncio.wait({waiting}, timeout=5)
    assert not done
    await direct.put("a", b"")
    assert isinstance(await waiting, Put)


async def test_a_lease_outlives_a_restart_of_etcd(etcd: Etcd, direct: Coordinator) -> None:
    lease = await direct.grant(5)
    await direct.put("a", b"", lease)
    await asyncio.to_thread(etcd.kill)
    await asyncio.to_thread(etcd.start)
    await asyncio.sleep(6)
    assert not lease.ended
    assert await direct.get("a") is not None


async def test_calls_in_an_outage_end_at_their_deadline(etcd: Etcd) -> None:
    coordinator = open_coordinator(f"etcd://{etcd.endpoint}", timeout_s=0.5)
    await coordinator.ping()
    lease = await coordinator.grant(2)
    await asyncio.to_thread(etcd.kill)
    for call in (coordinator.ping(), coordinator.get("a"), coordinator.put("a", b"")):
        began = time.monotonic()
        with pytest.raises(CoordinationUnavailable, match=etcd.endpoint):
            await call
        assert time.monotonic() - began < 2
    await lease.close()
    assert lease.ended
    await coordinator.close()


async def test_a_watch_begun_in_an_outage_gets_its_snapshot_after_it(etcd: Etcd) -> None:
    await asyncio.to_thread(etcd.kill)
    coordinator = open_coordinator(f"etcd://{etcd.endpoint}", timeout_s=0.5)
    watch = coordinator.watch("")
    assert isinstance(await next_of(watch), Disconnected)
    await asyncio.to_thread(etcd.start)
    assert await next_of(watch) == Reconnected()
    assert isinstance(await next_of(watch), Snapshot)
    await coordinator.close()


async def test_one_dead_endpoint_of_two_is_passed_over(etcd: Etcd, link: Link) -> None:
    await link.cut()
    coordinator = open_coordinator(f"etcd://{link.endpoint},{etcd.endpoint}")
    began = time.monotonic()
    await coordinator.put("a", b"")
    assert time.monotonic() - began < 2
    assert isinstance(await next_of(coordinator.watch("")), Snapshot)
    await coordinator.close()


async def test_a_watch_moves_to_the_other_endpoint(
    etcd: Etcd, link: Link, direct: Coordinator
) -> None:
    coordinator = open_coordinator(f"etcd://{link.endpoint},{etcd.endpoint}")
    watch = coordinator.watch("")
    await next_of(watch)
    await link.cut()
    assert isinstance(await next_of(watch), Disconnected)
    assert await next_of(watch) == Reconnected()
    await direct.put("a", b"")
    assert isinstance(await next_of(watch), Put)
    await coordinator.close()
