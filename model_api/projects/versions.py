"""How the statistics of a project at home here are called, and whose rows they count."""

from __future__ import annotations

from model_api.projects.home import Home
from tally.fusion.cells import Scope
from tally.fusion.sources import Contribution, Leaf, statistics_of
from tally.models.base import Source

_STATE_BITS = 40  # at a thousand changes a second, 34 years until states reach the claims


def version(home: Home) -> str:
    """Return `<epoch>-<counter>`, another text for every state of a project's statistics.

    `epoch` is when the project came into this worker's memory, in milliseconds since 1970: was it
    created, taken over, or loaded from a store that was restored, it is another one. `counter` is
    the number of the claim, which grows with each takeover, then that of the state in memory, which
    grows with each change, saved or not. So two claims differ also in one millisecond, or by clocks
    that disagree. A project that is loaded again without a change has another version too, which
    costs whoever asks one more fetch and is never wrong.

    To be read together with `home.project`, on the event loop.
    """
    return f"{home.since_ms}-{(home.head.epoch << _STATE_BITS) + home.states}"


def leaves(home: Home) -> tuple[Leaf, ...]:
    """Return whose rows the statistics count: the project's own, or those that were merged.

    A fusion project is a leaf itself, without rows: one that gets its own statistics back, by
    whatever way, knows them again.
    """
    own = home.project.row_count if home.merged is None else 0
    return (*(home.merged or ()), Leaf(home.held.project, version(home), own))


def contribution(home: Home, scope: Scope = Scope.LOCAL) -> Contribution:
    """Return what the project gives to a merge.

    Args:
        home: the project.
        scope: of a federated project, what was learned here, or the sum over its peers.
    """
    if home.federated is not None:
        own, named = home.federated.local, version(home)
        leaves_: tuple[Leaf, ...] = (Leaf(home.held.project, named, own.row_count),)
        if (cells := home.federated.cells) is not None:
            leaves_ = (*cells.leaves, Leaf(home.held.project, named, 0))
        if scope is Scope.FEDERATED and home.federated.view is not None:
            own, leaves_ = home.project, home.federated.provenance
        return Contribution(home.held.project, named, statistics_of(own), leaves_)
    return Contribution(home.held.project, version(home), statistics_of(home.project), leaves(home))


def sources(home: Home) -> list[Source]:
    """Return what a model that is built now stands on, by the name and generation of the project.

    That of merged statistics names the uuid of each project, or shard, in them, and the version.
    """
    if home.summed is not None:
        return [Source(leaf.source, leaf.version, leaf.rows) for leaf in home.summed.leaves]
    if home.merged is None:
        return [Source(home.head.pid, str(home.head.generation), home.project.row_count)]
    return [Source(leaf.source, leaf.version, leaf.rows) for leaf in home.merged if leaf.rows]
