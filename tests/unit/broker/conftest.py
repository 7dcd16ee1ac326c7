from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.ledger import Ledger
from tally.store.sqlite import SqliteStore


@pytest.fixture
def coordination_file(tmp_path: Path) -> Path:
    return tmp_path / "coordination" / "file.db"


@pytest.fixture
async def coordinator(coordination_file: Path) -> AsyncIterator[EmbeddedCoordinator]:
    opened = EmbeddedCoordinator(coordination_file)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    store = SqliteStore(tmp_path / "store.db")
    yield Ledger(store, clock)
    await store.close()
