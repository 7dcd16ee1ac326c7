from __future__ import annotations

import pytest

from tally.clock import ManualClock
from tally.projects.projects import Projects
from tally.store.sqlite import SqliteStore


@pytest.fixture
def projects(store: SqliteStore, clock: ManualClock) -> Projects:
    return Projects(store, clock)
