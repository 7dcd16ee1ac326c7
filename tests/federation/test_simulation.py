"""Stories in which everything fails at once, and then all heals.

They are hundreds, half of them here and half in the file of larger federations, so that two
processes share them.
"""

from __future__ import annotations

import pytest

from tally.federation.effects import Rebuild
from tally.federation.simulation import ledger, replay
from tally.federation.simulation.world import MAX_TURNS, Standstill
from tests.federation.stories import check_small, told
from tests.federation.worlds import pulsing


@pytest.mark.parametrize("block", range(15))
async def test_after_healing_everyone_counts_every_row_once(block: int) -> None:
    await check_small(block * 10, 10, rounds=5)


async def test_equal_seeds_tell_equal_stories() -> None:
    assert await replay.replay(7, 4, 4) == await replay.replay(7, 4, 4)


async def test_a_story_that_ends_badly_tells_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if peers added what they receive to what they have.
    original = ledger.LedgerSite.rebuild

    async def adding(self: ledger.LedgerSite, parts: Rebuild) -> str:
        before = [] if self.federated is None else ledger.read(self.federated)
        entry = await original(self, parts)
        assert self.federated is not None
        self.federated = ledger.write([*before, *ledger.read(self.federated)])
        return entry

    monkeypatch.setattr(ledger.LedgerSite, "rebuild", adding)
    with pytest.raises(AssertionError) as failed:
        await check_small(3, 1, rounds=1)
    assert told(3, 6, 1) in str(failed.value)


async def test_virtual_time_that_does_not_go_on_is_an_error() -> None:
    world = await pulsing(2)
    turns = 0

    async def idle() -> None:
        nonlocal turns
        turns += 1

    world.nodes[1].up.wake = idle  # type: ignore[method-assign]
    with pytest.raises(Standstill, match="peer 2"):
        await world.run_for(120_000)
    assert turns >= MAX_TURNS


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("block", range(10))
async def test_hundreds_of_long_stories_end_well(block: int) -> None:
    await check_small(1000 + block * 40, 40, rounds=12)
