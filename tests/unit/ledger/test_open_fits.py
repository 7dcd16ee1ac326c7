"""The list of fits under way outlives a damaged entry."""

from __future__ import annotations

import pytest

from tally.errors import CorruptState
from tally.ids import FitId
from tally.ledger import Ledger
from tally.ledger.records import open_partition
from tally.ledger.references import referenced
from tally.store.base import Write
from tests.unit.ledger.acts import accept


async def damage(ledger: Ledger, fit: FitId) -> None:
    partition = open_partition(fit)
    row = await ledger.store.get(partition, fit)
    assert row is not None
    assert await ledger.store.commit(partition, [Write(fit, row.token, b"?")])


async def test_a_damaged_entry_keeps_no_other_from_being_looked_after(ledger: Ledger) -> None:
    fits = [(await accept(ledger, f"m{i}")).id for i in range(5)]
    await damage(ledger, fits[2])
    found = {fit async for fit, _ in ledger.fits.open.walk()}
    assert found == set(fits) - {fits[2]}


async def test_nothing_is_swept_while_an_entry_cannot_be_read(ledger: Ledger) -> None:
    await damage(ledger, (await accept(ledger)).id)
    with pytest.raises(CorruptState):
        [blob async for blob in referenced(ledger.store)]
