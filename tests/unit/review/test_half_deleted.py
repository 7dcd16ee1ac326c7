"""A deletion that died half way: its caller was told that it failed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model_api.janitor import Janitor, Keep
from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import NotFound
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.ledger.records import DELETED, HEAD, Deleted, Head, VersionState, model_partition
from tally.ledger.transact import Read, read
from tally.store.sqlite import SqliteStore
from tests.unit.ledger.acts import published


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    store = SqliteStore(tmp_path / "store.db")
    yield Ledger(store, ManualClock())
    await store.close()


@pytest.fixture
async def janitor(tmp_path: Path, ledger: Ledger) -> AsyncIterator[Janitor]:
    coordinator = EmbeddedCoordinator(tmp_path / "coordination.db")
    keep = Keep(versions=10, fits=10, grace_s=60)
    yield Janitor(ledger, coordinator, ManualClock(), keep, every_s=1)
    await coordinator.close()


async def _marked(ledger: Ledger, model: ModelUuid) -> None:
    row: Read[Deleted] = Read(model, None, None)
    assert await ledger.store.commit(DELETED, [row.write(Deleted("m", "now"))]) is not None


async def test_a_model_that_was_only_marked_keeps_its_versions(
    ledger: Ledger, janitor: Janitor
) -> None:
    model = await published(ledger, 5)
    await _marked(ledger, model)
    await janitor.tidy()
    states = {version.state for version in await ledger.versions.history(model)}
    assert states == {VersionState.PUBLISHED}


async def test_the_name_of_a_model_whose_head_is_deleted_is_freed(
    ledger: Ledger, janitor: Janitor
) -> None:
    model = await published(ledger, 1)
    await _marked(ledger, model)
    partition = model_partition(model)
    head = await read(ledger.store, partition, HEAD, Head)
    dead = head.write(Head("m", version=1, generation=2, deleted=True))
    assert await ledger.store.commit(partition, [dead]) is not None
    await janitor.tidy()
    with pytest.raises(NotFound):
        await ledger.names.find("m")
