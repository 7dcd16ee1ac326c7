from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tally.client import AsyncTally, Patience
from tests.unit.client.signed_broker import CID, KEY, SignedBroker, signed_broker

QUICK = Patience(total_s=20, first_s=0.001, most_s=0.002)


@pytest.fixture
async def broker() -> AsyncIterator[SignedBroker]:
    async with signed_broker() as made:
        yield made


@pytest.fixture
async def tally(broker: SignedBroker) -> AsyncIterator[AsyncTally]:
    async with AsyncTally(CID, KEY, broker.url, patience=QUICK) as made:
        yield made
