"""Stories of everything that fails at once; each is told again by its seed."""

from __future__ import annotations

import pytest

from tally.federation.simulation.replay import replay


def told(seed: int, peers: int, rounds: int) -> str:
    """Return how to see a story again."""
    return f"replay it: tally federation simulate --seed {seed} --peers {peers} --rounds {rounds}"


async def check(seed: int, peers: int, rounds: int) -> None:
    outcome = await replay(seed, peers, rounds)
    assert not outcome.faults, "\n".join([*outcome.faults, told(seed, peers, rounds)])
    assert outcome.peers >= 1
    assert outcome.rows > 0


@pytest.mark.parametrize("block", range(6))
async def test_after_healing_everyone_counts_every_row_once(block: int) -> None:
    for seed in range(block * 10, block * 10 + 10):
        await check(seed, peers=3 + seed % 3, rounds=5)


async def test_equal_seeds_tell_equal_stories() -> None:
    assert await replay(7, 4, 4) == await replay(7, 4, 4)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("block", range(10))
async def test_hundreds_of_long_stories_end_well(block: int) -> None:
    for seed in range(1000 + block * 40, 1040 + block * 40):
        await check(seed, peers=3 + seed % 6, rounds=12)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("peers", "rounds"), [(20, 10), (35, 8), (50, 6)])
async def test_large_federations_end_well(peers: int, rounds: int) -> None:
    for seed in (1, 2):
        await check(seed, peers, rounds)
