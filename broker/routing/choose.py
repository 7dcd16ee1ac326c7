"""Which version to ask for, and which workers. Pure: no time, no network."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tally.ids import ModelUuid, NodeId
from tally.routing.table import Table


@dataclass(frozen=True, slots=True)
class Target:
    """A version of a model and the workers that say they serve it, at least one.

    Attributes:
        restored: how often the store had been restored when the head was moved there.
    """

    model: ModelUuid
    version: int
    generation: int
    nodes: tuple[NodeId, ...]
    restored: int = 0


def choose(
    table: Table, model: ModelUuid, floor: int = 0, without: Collection[NodeId] = ()
) -> Target | None:
    """Return the newest generation of a model that some worker serves.

    Args:
        table: what is known.
        model: which model.
        floor: the lowest generation allowed, so that what one broker serves never goes back.
        without: workers that could not answer a moment ago; what they alone serve is as good as
            lost, and the generation before it is better than none.

    Returns:
        None if no worker serves the floor or above it: waiting may help.
    """
    serving = [
        (served.generation, served.version, served.restored, node_id)
        for node_id, node in table.nodes.items()
        if (served := node.serving.get(model)) is not None
        and served.generation >= floor
        and node_id not in without
    ]
    if not serving:
        return None
    *newest, _ = max(serving)
    nodes = tuple(node_id for *told, node_id in serving if told == newest)
    generation, version, restored = newest
    return Target(model, version, generation, nodes, restored)


def everyone(table: Table, model: ModelUuid, version: int) -> tuple[NodeId, ...]:
    """Return all workers, those first that are likely to have a version loaded already."""
    return tuple(
        sorted(
            table.nodes,
            key=lambda n: (
                (served := table.nodes[n].serving.get(model)) is None or served.version != version
            ),
        )
    )
