"""Stories of everything that fails at once; each is told again by its seed."""

from __future__ import annotations

from tally.federation.simulation.replay import replay

SMALL = tuple(range(3, 9))
"""Numbers of peers in small federations."""


def told(seed: int, peers: int, rounds: int) -> str:
    """Return how to see a story again."""
    return f"replay it: tally federation simulate --seed {seed} --peers {peers} --rounds {rounds}"


async def check(seed: int, peers: int, rounds: int) -> None:
    """Tell a story, and assert that it ends well.

    Raises:
        AssertionError: it does not; the message says what is wrong, and how to see it again.
    """
    try:
        outcome = await replay(seed, peers, rounds)
    except Exception as error:
        raise AssertionError(told(seed, peers, rounds)) from error
    assert not outcome.faults, "\n".join([*outcome.faults, told(seed, peers, rounds)])
    assert outcome.peers >= 1
    assert outcome.rows > 0


async def check_small(first: int, count: int, rounds: int) -> None:
    """Tell so many stories of 3 to 8 peers, from a seed on; see `check`."""
    for seed in range(first, first + count):
        await check(seed, SMALL[seed % len(SMALL)], rounds)
