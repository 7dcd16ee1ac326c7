from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.ledger import Ledger
from tally.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ledger(store: SqliteStore, clock: ManualClock) -> Ledger:
    return Ledger(store, clock)
