"""The other half of the stories, and those of twenty and fifty peers."""

from __future__ import annotations

import pytest

from tests.federation.stories import check, check_small


@pytest.mark.parametrize("block", range(15, 30))
async def test_after_healing_everyone_counts_every_row_once(block: int) -> None:
    await check_small(block * 10, 10, rounds=5)


@pytest.mark.parametrize(("peers", "rounds"), [(20, 4), (50, 1)])
async def test_large_federations_end_as_well_as_small_ones(peers: int, rounds: int) -> None:
    await check(1, peers, rounds)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("peers", "rounds"), [(20, 10), (35, 8), (50, 6)])
async def test_they_do_so_after_long_stories(peers: int, rounds: int) -> None:
    for seed in (1, 2):
        await check(seed, peers, rounds)
