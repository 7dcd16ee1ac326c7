"""A federation over the rows of tables, held against one project that has all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tally.codec import project as codec
from tally.engine.frame import Frame
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import InvalidInput
from tally.federation.privacy.minimum import fewest_rows
from tally.federation.simulation.statistics_site import StatisticsSite
from tally.federation.simulation.story import Chances, Story
from tally.federation.simulation.world import World
from tally.federation.statistics import StatisticsRules
from tally.federation.wire_form import recentred

CLOSE = 1e-9
"""A covariance may differ from that of the pooled rows by so much, relative to deviations."""

# Whoever leaves or joins takes rows along or brings some: the table is to stay whole.
_SAME_PEERS = Chances(leave=0.0, join=0.0)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a federation ended.

    Attributes:
        peers: what each has.
        rows: that all of them have learned.
        happened: how often each thing went wrong on the way, in words.
    """

    peers: tuple[PeerResult, ...]
    rows: int
    happened: Mapping[str, int]

    @property
    def right(self) -> bool:
        """Tell whether every peer has the pooled statistics, and all the same bits."""
        return all(
            peer.same and peer.rows == self.rows and peer.error < CLOSE for peer in self.peers
        )


@dataclass(frozen=True, slots=True)
class PeerResult:
    """What one peer ended with.

    Attributes:
        rows: that its federated project counts; 0 if it built none.
        error: largest relative difference of a covariance from that of the pooled rows.
        same: whether its federated project is the same, to the last bit, as the first peer's.
        refused: messages that it refused on the way.
    """

    name: str
    own_rows: int
    rows: int
    error: float
    same: bool
    refused: int


async def federate(
    shares: Sequence[Frame],
    *,
    rounds: int,
    seed: int,
    contracts: tuple[tuple[str, ...], ...] = (),
) -> Ending:
    """Return what each peer has in the end, after so many rounds in which everything fails.

    Args:
        shares: the rows of each peer.
        rounds: of faults.
        seed: of everything that is random.
        contracts: of which the admin chooses now and then, until all heals.

    Raises:
        InvalidInput: a peer would have too few rows to share any.
    """
    pooled = _learned(shares)
    attributes = len(pooled.summary.schema)
    least = fewest_rows(attributes)
    for number, share in enumerate(shares, 1):
        # One half is learned while things go wrong, and the rest in the end.
        if share.rows < 2 * least:
            raise InvalidInput(
                f"peer {number}",
                f"{share.rows} rows; {2 * least} are needed, since there are {attributes} "
                "attributes (each category of a text column is one)",
            )

    def site(uuid: str) -> StatisticsSite:
        return StatisticsSite(uuid, shares[int(uuid, 16) - 1], least)

    world = World(seed, site, StatisticsRules())
    await world.create(len(shares))
    story = Story(world, least, contracts, _SAME_PEERS)
    await story.suffer(rounds)
    await story.heal()
    first = world.admin.site.federated
    found = []
    for node in world.nodes:
        built = node.site.federated
        found.append(
            PeerResult(
                name=node.name,
                own_rows=node.site.rows,
                rows=0 if built is None else built.row_count,
                error=float("inf") if built is None else difference(built, pooled),
                same=built is not None
                and first is not None
                and codec.encode(built) == codec.encode(first),
                refused=node.state.counters.rcv_error,
            )
        )
    return Ending(tuple(found), pooled.row_count, story.happened)


def difference(built: Project, pooled: Project) -> float:
    """Return the largest difference of a covariance, relative to the standard deviations."""
    ours, theirs = recentred(built.summary), recentred(pooled.summary)
    names = theirs.schema.names
    if set(ours.schema.names) != set(names):
        return float("inf")
    found, counts = ours.covariance([ours.schema.index[name] for name in names])
    wanted, all_counts = theirs.covariance(range(len(names)))
    if not np.array_equal(counts, all_counts):
        return float("inf")
    scale = np.sqrt(np.outer(wanted.diagonal(), wanted.diagonal()))
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.abs(found - wanted) / np.where(scale > 0, scale, 1.0)
    return float(np.nanmax(relative, initial=0.0))


def _learned(frames: Sequence[Frame]) -> Project:
    draft = Project.empty(Options("cpu")).draft()
    for frame in frames:
        draft.learn(frame)
    return draft.done()
