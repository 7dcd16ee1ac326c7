"""Federations over the rows of Iris, with real statistics of its four numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tally.engine.frame import Frame
from tally.federation.simulation.statistics_site import StatisticsSite
from tally.federation.simulation.tables import read_table, share_of
from tally.federation.simulation.world import Node, World
from tally.federation.statistics import StatisticsRules

IRIS = Path(__file__).parents[1] / "data" / "iris" / "Iris_rtlm.csv"
BASE = ("sepal_length", "sepal_width", "petal_length", "petal_width")
LEAST = 9
"""The rows that four attributes need: five more than attributes."""

StatisticsWorld = World[StatisticsSite]
StatisticsNode = Node[StatisticsSite]


def base_columns() -> Frame:
    """Return the four numbers of all 150 rows."""
    frame = read_table(IRIS)
    places = [frame.names.index(name) for name in BASE]
    return Frame(BASE, "CCCC", tuple(frame.columns[k] for k in places), frame.rows)


def third(number: int, more: int = 0) -> Frame:
    """Return every third row, from this one on, and after them so many of all, a little moved."""
    frame = base_columns()
    own, others = share_of(frame, number, 3), frame.take(np.arange(frame.rows) < more)
    columns = tuple(
        np.concatenate([own.numbers(k), others.numbers(k) + 0.01 * (k + 1)]) for k in range(4)
    )
    return Frame(BASE, "CCCC", columns, own.rows + more)


async def thirds(learned: int = 50, more: int = 0, **settings: Any) -> StatisticsWorld:
    """Return three peers that have learned so many rows of their third, and pulse.

    Args:
        learned: at each peer, before the first round, which is over.
        more: rows that each can learn besides its third.
        settings: of every peer.
    """
    world = World(
        1,
        lambda uuid: StatisticsSite(uuid, third((int(uuid, 16) - 1) % 3, more), LEAST),
        StatisticsRules(),
        **settings,
    )
    await world.create(3)
    for node in world.nodes:
        node.site.learn(learned)
    await world.start_all()
    await world.run_for(90_000)
    return world


def counts(world: StatisticsWorld) -> list[int]:
    """Return COUNT of each peer's federated project; -1 if it has built none."""
    return [
        -1 if (built := node.site.federated) is None else built.row_count for node in world.nodes
    ]
