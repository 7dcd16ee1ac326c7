from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model_api.projects.homes import Homes
from tally.clock import ManualClock
from tally.projects import held
from tests.unit.model_api.projects.acts import Gate, Nodes, Troubled, worker
from tests.unit.model_api.projects.wire import Broker


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Troubled]:
    opened = Troubled(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a home ask again at once where the store does not tell what came of a commit."""
    monkeypatch.setattr(held, "_LONGEST_PAUSE_S", 0.001)


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
async def homes(store: Troubled, clock: ManualClock, nodes: Nodes) -> AsyncIterator[Homes]:
    async with worker(store, clock, nodes) as running:
        yield running


@pytest.fixture
def broker(homes: Homes) -> Broker:
    return Broker(homes)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)
