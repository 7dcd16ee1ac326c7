from __future__ import annotations

import pytest

from tally.clock import ManualClock
from tally.master_key import MasterKey
from tally.projects.jobs import Jobs
from tally.store.sqlite import SqliteStore
from tally.users import Users


@pytest.fixture
def jobs(store: SqliteStore, clock: ManualClock) -> Jobs:
    return Jobs(store, clock, keep_s=60, limit=5)


@pytest.fixture
def users(store: SqliteStore, clock: ManualClock) -> Users:
    return Users(store, MasterKey(bytes(32)), clock)
