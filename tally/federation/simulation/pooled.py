"""A federation over the rows of a table, held against one project that has all of them."""

from __future__ import annotations

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
from tally.federation.simulation.tables import share_of
from tally.federation.simulation.world import World
from tally.federation.statistics import StatisticsRules
from tally.federation.wire_form import recentred

# Whoever leaves or joins takes rows along or brings some: the table is to stay whole.
_SAME_PEERS = Chances(leave=0.0, join=0.0)


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
    frame: Frame,
    *,
    peers: int,
    rounds: int,
    seed: int,
    contracts: tuple[tuple[str, ...], ...] = (),
) -> list[PeerResult]:
    """Return what each peer has in the end, after so many rounds in which everything fails.

    Args:
        frame: every `peers`-th row is one peer's.
        peers: how many.
        rounds: of faults.
        seed: of everything that is random.
        contracts: of which the admin chooses now and then, until all heals.

    Raises:
        InvalidInput: a peer would have too few rows to share any.
    """
    pooled = _learned(frame)
    least = fewest_rows(len(pooled.summary.schema))
    if frame.rows < peers * 2 * least:
        raise InvalidInput(
            "--peers", f"{frame.rows} rows; {peers} peers of {2 * least} rows each are needed"
        )

    def site(uuid: str) -> StatisticsSite:
        share = share_of(frame, int(uuid, 16) - 1, peers)
        return StatisticsSite(uuid, share, least)

    world = World(seed, site, StatisticsRules())
    await world.create(peers)
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
    return found


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


def _learned(frame: Frame) -> Project:
    draft = Project.empty(Options("cpu")).draft()
    draft.learn(frame)
    return draft.done()
