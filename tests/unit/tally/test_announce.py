from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from tally.announce import announce, announcement, read_announcement, withdraw
from tally.coordination.base import KeyValue
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import CoordinationUnavailable
from tally.ids import ModelUuid
from tally.ledger.records import Head
from tally.wire.messages import Announcement

MODEL, OTHER = ModelUuid("0a" * 16), ModelUuid("0b" * 16)
KEY = "models/m/version"


def head(version: int, generation: int | None = None, *, deleted: bool = False) -> Head:
    given = version if generation is None else generation
    return Head("m", version, max(0, version - 1), given, moved_at="2026-01-01", deleted=deleted)


async def known(coordinator: EmbeddedCoordinator) -> Announcement:
    told = read_announcement(await coordinator.get(KEY))
    assert told is not None
    return told


async def test_a_head_is_announced_as_the_originals_tools_read_it(
    coordinator: EmbeddedCoordinator,
) -> None:
    default = msgspec.structs.replace(head(3), name="default")
    assert await announce(coordinator, MODEL, default)
    item = await coordinator.get("modelVersion")
    assert item is not None
    told = msgspec.json.decode(item.value)
    assert (told["version"], told["timestamp"]) == (3, "2026-01-01")


async def test_a_newer_generation_is_never_overwritten(coordinator: EmbeddedCoordinator) -> None:
    assert await announce(coordinator, MODEL, head(1, generation=5))
    assert not await announce(coordinator, MODEL, head(9, generation=4))
    assert not await announce(coordinator, MODEL, head(1, generation=5))
    assert (await known(coordinator)).version == 1
    assert await announce(coordinator, MODEL, head(9, generation=6))
    assert (await known(coordinator)).version == 9


async def test_of_many_writers_at_once_the_newest_generation_stays(
    coordinator: EmbeddedCoordinator,
) -> None:
    await asyncio.gather(*(announce(coordinator, MODEL, head(n)) for n in (3, 1, 7, 5, 2, 6, 4)))
    assert (await known(coordinator)).generation == 7


async def test_a_model_created_again_takes_the_name_at_its_first_generation(
    coordinator: EmbeddedCoordinator,
) -> None:
    await announce(coordinator, MODEL, head(9))
    assert await announce(coordinator, OTHER, head(1))
    assert (await known(coordinator)).model == OTHER


@pytest.mark.parametrize("dead", [head(0), head(3, deleted=True)])
async def test_a_model_without_a_version_or_deleted_is_not_announced(
    coordinator: EmbeddedCoordinator, dead: Head
) -> None:
    assert not await announce(coordinator, MODEL, dead)
    assert await coordinator.get(KEY) is None


@pytest.mark.parametrize("value", [b"", b"nonsense", b"{}", b'{"version":"x"}'])
async def test_what_cannot_be_read_gives_way_to_ours(
    coordinator: EmbeddedCoordinator, value: bytes
) -> None:
    await coordinator.put(KEY, value)
    assert await announce(coordinator, MODEL, head(1))
    assert (await known(coordinator)).version == 1


async def test_withdrawing_removes_the_key_of_that_model_only(
    coordinator: EmbeddedCoordinator,
) -> None:
    await announce(coordinator, OTHER, head(1))
    await withdraw(coordinator, MODEL, "m")
    assert (await known(coordinator)).model == OTHER
    await withdraw(coordinator, OTHER, "m")
    assert await coordinator.get(KEY) is None
    await withdraw(coordinator, OTHER, "m")


class Renamed(EmbeddedCoordinator):
    """A coordinator where the name is given to another model between the look and the delete."""

    async def get(self, key: str) -> KeyValue | None:
        found = await super().get(key)
        if (known := read_announcement(found)) is not None and known.model == MODEL:
            await self.put(key, msgspec.json.encode(announcement(OTHER, head(1))))
        return found


async def test_a_withdrawal_does_not_take_the_announcement_of_a_model_that_has_the_name_now(
    tmp_path: Path,
) -> None:
    coordinator = Renamed(tmp_path / "renamed.db")
    await announce(coordinator, MODEL, head(1))
    await withdraw(coordinator, MODEL, "m")
    assert (await known(coordinator)).model == OTHER
    await coordinator.close()


class Contended(EmbeddedCoordinator):
    """A coordinator where somebody else is always quicker."""

    async def replace(self, key: str, value: bytes, expected_revision: int) -> bool:
        await self.put(key, b"of somebody else")
        return await super().replace(key, value, expected_revision)


async def test_endless_contention_is_an_outage_and_no_endless_loop(tmp_path: Path) -> None:
    coordinator = Contended(tmp_path / "contended.db")
    with pytest.raises(CoordinationUnavailable, match="too many writers"):
        await announce(coordinator, MODEL, head(1))
    await coordinator.close()


def test_no_key_is_no_announcement() -> None:
    assert read_announcement(None) is None
    assert read_announcement(KeyValue(KEY, b"\xff", 1)) is None
