from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.projects.projects import Projects
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
def projects(store: SqliteStore, clock: ManualClock) -> Projects:
    return Projects(store, clock)
