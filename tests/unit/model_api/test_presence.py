from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from model_api.presence import Presence
from tally.clock import ManualClock
from tally.coordination.base import Lease
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import Conflict, CoordinationUnavailable
from tests.unit.model_api.acts import eventually, running, until, until_later

TTL_S = 2.0


class Outages(EmbeddedCoordinator):
    """A coordinator that can be out of reach for those who write."""

    away = False
    leases: list[Lease]

    async def put(self, key: str, value: bytes, lease: Lease | None = None) -> int:
        if self.away:
            raise CoordinationUnavailable("away")
        return await super().put(key, value, lease)

    async def grant(self, ttl_s: float) -> Lease:
        if self.away:
            raise CoordinationUnavailable("away")
        lease = await super().grant(ttl_s)
        self.leases.append(lease)
        return lease


@pytest.fixture
async def coordinator(tmp_path: Path) -> AsyncIterator[Outages]:
    opened = Outages(tmp_path / "coordination.db")
    opened.leases = []
    yield opened
    await opened.close()


async def value_of(coordinator: Outages) -> bytes | None:
    item = await coordinator.get("nodes/a")
    return item.value if item else None


async def test_the_key_follows_its_value_and_goes_with_its_owner(
    coordinator: Outages, clock: ManualClock
) -> None:
    value = b"1"
    presence = Presence(coordinator, "nodes/a", lambda: value, TTL_S, clock)

    async def is_there() -> bool:
        return await value_of(coordinator) == value

    async with running(presence.run):
        await eventually(is_there, "the key is put")
        value = b"2"
        presence.changed()
        await eventually(is_there, "the key is changed")
        assert presence.connected
        assert presence.settled
    assert await value_of(coordinator) is None
    assert not presence.connected


async def test_a_lease_that_ended_is_granted_anew_and_the_key_put_again(
    coordinator: Outages, clock: ManualClock
) -> None:
    presence = Presence(coordinator, "nodes/a", lambda: b"1", TTL_S, clock)
    async with running(presence.run):
        await until(lambda: presence.connected, "it is registered")
        await coordinator.leases[0].close()
        await until(lambda: len(coordinator.leases) == 2, "there is another lease")
        await until(lambda: presence.connected, "it is registered again")
        assert await value_of(coordinator) == b"1"
        # Others may still be on their way back.
        assert not presence.settled
        await clock.advance(2 * TTL_S)
        assert presence.settled


async def test_an_outage_is_known_and_ends_by_itself(
    coordinator: Outages, clock: ManualClock
) -> None:
    coordinator.away = True
    presence = Presence(coordinator, "nodes/a", lambda: b"1", TTL_S, clock)

    async with running(presence.run):
        await clock.advance(5)
        assert not presence.connected
        coordinator.away = False
        await until_later(clock, 0.5, lambda: presence.connected, "it is registered")
        # The first time is a start, not the end of an outage.
        assert presence.settled
        coordinator.away = True
        presence.changed()
        await until(lambda: not presence.connected, "the outage is seen")
        coordinator.away = False
        await until_later(clock, 0.5, lambda: presence.connected, "it is registered again")
        assert not presence.settled


class Refusing(Outages):
    """A coordinator that grants leases and knows none of them a moment later."""

    async def put(self, key: str, value: bytes, lease: Lease | None = None) -> int:
        raise Conflict("its lease has ended")


async def test_leases_that_end_at_once_are_not_asked_for_without_a_pause(
    tmp_path: Path, clock: ManualClock
) -> None:
    coordinator = Refusing(tmp_path / "refusing.db")
    coordinator.leases = []
    presence = Presence(coordinator, "nodes/a", lambda: b"", TTL_S, clock)
    async with running(presence.run):
        await until(lambda: bool(coordinator.leases), "the first lease is granted")
        await until(lambda: bool(clock._sleepers), "it pauses")
        assert len(coordinator.leases) == 1
        await until_later(clock, 0.5, lambda: len(coordinator.leases) > 2, "it goes on asking")
    await coordinator.close()


async def test_whoever_leaves_while_the_coordinator_is_away_is_not_held_up(
    coordinator: Outages, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence = Presence(coordinator, "nodes/a", lambda: b"1", TTL_S, clock)

    async def refuse() -> None:
        raise CoordinationUnavailable("away")

    async with running(presence.run), asyncio.timeout(20):
        await until(lambda: presence.connected, "it is registered")
        monkeypatch.setattr(coordinator.leases[0], "close", refuse)
        coordinator.away = True
        presence.changed()
        await until(lambda: not presence.connected, "the outage is seen")
    assert not presence.connected


async def test_a_value_that_changes_while_it_is_put_is_put_again(
    coordinator: Outages, clock: ManualClock
) -> None:
    values = iter([b"1", b"2"])
    last = b""

    def value() -> bytes:
        nonlocal last
        last = next(values, last)
        if last == b"1":
            presence.changed()  # a version was loaded just now
        return last

    presence = Presence(coordinator, "nodes/a", value, TTL_S, clock)

    async def is_there() -> bool:
        return await value_of(coordinator) == b"2"

    async with running(presence.run):
        await eventually(is_there, "the newer value is put")


async def test_one_outage_is_told_of_once_however_long_it_takes(
    coordinator: Outages, clock: ManualClock
) -> None:
    presence = Presence(coordinator, "nodes/a", lambda: b"1", TTL_S, clock)
    async with running(presence.run):
        await until(lambda: presence.connected, "it is registered")
        with capture_logs() as logs:
            coordinator.away = True
            presence.changed()
            await until(lambda: not presence.connected, "the outage is seen")
            for _ in range(20):
                await clock.advance(0.5)
        assert [entry["event"] for entry in logs] == ["coordinator out of reach"]
