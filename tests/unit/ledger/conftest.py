from __future__ import annotations

import pytest

from tally.clock import ManualClock
from tally.ledger import Ledger
from tally.store.sqlite import SqliteStore


@pytest.fixture
def ledger(store: SqliteStore, clock: ManualClock) -> Ledger:
    return Ledger(store, clock)
