from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tally.clock import ManualClock
from tally.master_key import MasterKey
from tally.projects.jobs import Jobs
from tally.store.sqlite import SqliteStore
from tally.users import Users
from tests.unit.broker.symetry.job_acts import (
    Broker,
    MakeBroker,
)


@pytest.fixture
def jobs(store: SqliteStore, clock: ManualClock) -> Jobs:
    return Jobs(store, clock, keep_s=60, limit=5)


@pytest.fixture
def users(store: SqliteStore, clock: ManualClock) -> Users:
    return Users(store, MasterKey(bytes(32)), clock)


@pytest.fixture
async def make(jobs: Jobs, users: Users, clock: ManualClock) -> AsyncIterator[MakeBroker]:
    made: list[Broker] = []

    async def broker() -> Broker:
        made.append(Broker(jobs, users, clock))
        await asyncio.sleep(0)
        return made[-1]

    yield broker
    for one in made:
        await one.stop()
