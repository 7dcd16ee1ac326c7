from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tally.coordination.base import Coordinator, Deleted, Put
from tally.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from tests.contract.coordination.conftest import OpenClient, StartChild


async def test_closing_a_lease_deletes_its_keys_and_tells_watchers(
    coordinator: Coordinator, other: Coordinator
) -> None:
    lease = await coordinator.grant(10)
    await coordinator.put("kept", b"")
    await coordinator.put("a", b"", lease)
    await coordinator.put("b", b"", lease)
    watch = other.watch("")
    await anext(watch)
    await lease.close()
    assert lease.ended
    async with asyncio.timeout(5):
        assert {await anext(watch), await anext(watch)} == {Deleted("a"), Deleted("b")}
    assert list((await other.list("")).items) == ["kept"]


async def test_a_lease_may_be_closed_twice_and_tells_those_who_wait(
    coordinator: Coordinator,
) -> None:
    lease = await coordinator.grant(2)
    waiting = asyncio.create_task(lease.wait_ended())
    assert not lease.ended
    await lease.close()
    await lease.close()
    async with asyncio.timeout(5):
        await waiting


async def test_a_put_under_an_ended_lease_is_a_conflict_and_changes_nothing(
    coordinator: Coordinator,
) -> None:
    lease = await coordinator.grant(2)
    await lease.close()
    with pytest.raises(Conflict, match="lease has ended"):
        await coordinator.put("a", b"", lease)
    assert await coordinator.get("a") is None


async def test_a_lease_is_renewed_for_as_long_as_its_owner_lives(
    coordinator: Coordinator, other: Coordinator
) -> None:
    lease = await coordinator.grant(2)
    await coordinator.put("a", b"", lease)
    await asyncio.sleep(4)
    assert not lease.ended
    assert await other.get("a") is not None


async def test_a_put_without_the_lease_takes_the_key_out_of_it(coordinator: Coordinator) -> None:
    lease = await coordinator.grant(2)
    await coordinator.put("a", b"1", lease)
    await coordinator.put("a", b"2")
    await lease.close()
    found = await coordinator.get("a")
    assert found is not None
    assert found.value == b"2"


async def test_keys_of_a_closed_client_end_when_its_lease_runs_out(
    open_client: OpenClient, other: Coordinator
) -> None:
    gone = open_client()
    lease = await gone.grant(2)
    revision = await gone.put("a", b"", lease)
    watch = other.watch("")
    await anext(watch)
    closed = time.monotonic()
    await gone.close()
    assert lease.ended
    async with asyncio.timeout(10):
        assert await anext(watch) == Deleted("a")
    assert time.monotonic() - closed > 1
    assert await other.put("b", b"") > revision


async def test_watchers_are_told_when_the_process_that_held_a_lease_is_killed(
    coordinator: Coordinator, start_child: StartChild
) -> None:
    watch = coordinator.watch("nodes/")
    await anext(watch)
    child = await start_child("hold", "nodes/a")
    async with asyncio.timeout(20):
        told = await anext(watch)
        assert isinstance(told, Put)
        assert told.item.value == b"alive"
        child.kill()
        assert await anext(watch) == Deleted("nodes/a")


async def test_a_process_stopped_past_its_lease_learns_that_it_ended(
    coordinator: Coordinator, start_child: StartChild
) -> None:
    watch = coordinator.watch("")
    await anext(watch)
    child = await start_child("hold", "a")
    assert child.stdout is not None
    async with asyncio.timeout(30):
        assert await child.stdout.readline() == b"holding\n"
        assert isinstance(await anext(watch), Put)
        os.kill(child.pid, signal.SIGSTOP)
        assert await anext(watch) == Deleted("a")
        os.kill(child.pid, signal.SIGCONT)
        assert await child.stdout.readline() == b"ended\n"
        assert await child.stdout.readline() == b"refused\n"
    assert await coordinator.get("a") is None


@pytest.mark.parametrize("ttl_s", [1.9, 0, -1, float("nan"), float("inf")])
async def test_a_time_to_live_under_two_seconds_is_refused(
    coordinator: Coordinator, ttl_s: float
) -> None:
    with pytest.raises(InvalidInput, match="ttl_s"):
        await coordinator.grant(ttl_s)
