"""What most tests of one part stand on; a folder or file that wants another one has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.store.sqlite import SqliteStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
async def coordinator(tmp_path: Path) -> AsyncIterator[EmbeddedCoordinator]:
    opened = EmbeddedCoordinator(tmp_path / "coordination.db")
    yield opened
    await opened.close()
