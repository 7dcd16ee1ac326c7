from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.store.sqlite import SqliteStore
from tests.unit.model_api.projects.acts import Nodes
from tests.unit.model_api.shards import sites
from tests.unit.model_api.shards.sites import Site


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
async def site(store: SqliteStore, clock: ManualClock) -> AsyncIterator[Site]:
    async with sites.site(store, clock, Nodes()) as made:
        yield made
