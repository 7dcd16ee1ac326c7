from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model_api.children import Children
from tally.clock import ManualClock
from tally.fitqueue.embedded import EmbeddedQueue
from tally.ledger import Ledger
from tests.unit.model_api.acts import Troubled


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Troubled]:
    opened = Troubled(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
def ledger(store: Troubled, clock: ManualClock) -> Ledger:
    return Ledger(store, clock)


@pytest.fixture
async def queue(tmp_path: Path, clock: ManualClock) -> AsyncIterator[EmbeddedQueue]:
    opened = EmbeddedQueue(tmp_path / "queue.db", clock=clock.monotonic)
    yield opened
    await opened.close()


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    made = Children()
    yield made
    await made.close()
