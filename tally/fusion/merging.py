"""The statistics of many projects as those of one, the same to the last bit on every machine.

Contributions are summed in the ascending order of their sources, with element-wise sums and
products only; and attributes are put in their order after that. So neither the order in which
they came, nor the order in which a node knows its attributes, nor the processor changes a sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tally.engine.arrange import arranged
from tally.engine.compatibility import TypeConflict, check_mergeable, merged_types
from tally.engine.options import Options
from tally.engine.project import Project
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.errors import InvalidInput, TooLarge
from tally.fusion.cells import CellState, Status
from tally.fusion.sources import Contribution, Leaf, counting

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Merged:
    """The sum of contributions.

    Attributes:
        project: as if it had learned all their rows; it has no window.
        provenance: whose rows it counts, by ascending source.
        refused: why a contribution does not count, by its place among those that were given.
    """

    project: Project
    provenance: tuple[Leaf, ...]
    refused: Mapping[int, Status]


def merge(contributions: Sequence[Contribution], first: Schema | None = None) -> Merged:
    """Return the sum of contributions; attributes meet by name.

    An attribute that a contribution lacks is missing in its rows, but for a value of a category
    that it has: that is 0 there. C where B meets C.

    Args:
        contributions: those that come first have the right of way: one whose rows were counted
            already, or that means something else by a name, does not count at all.
        first: attributes that keep their indexes, also without rows; then come the others by
            (source, index).

    Example:
        >>> from tally.engine.options import Options
        >>> one = Contribution.of("a", "1-1", Project.empty(Options()))
        >>> merge([one, one]).refused[1].text
        'DUPLICATE_SOURCE: a'
    """
    admission, refused = _Admission(), dict[int, Status]()
    places = []
    for place, one in enumerate(contributions):
        if (why := admission.take(one)) is None:
            places.append(place)
        else:
            refused[place] = why
    places.sort(key=lambda place: contributions[place].source)
    project, failed = _sum([contributions[place].project for place in places])
    refused |= {places[at]: why for at, why in failed.items()}
    if first is not None:
        project = replace(project, summary=_placed(project.summary, first))
    counted = (contributions[place] for place in places if place not in refused)
    leaves = (leaf for one in counted for leaf in one.provenance)
    return Merged(project, tuple(sorted(leaves, key=lambda leaf: leaf.source)), refused)


def _sum(projects: Sequence[Project]) -> tuple[Project, Mapping[int, Status]]:
    """Return the sum in this order, and which do not fit into it, by their place."""
    if not projects:
        return Project.empty(Options()), {}
    histogram = any(project.histograms is not None for project in projects)
    draft = Project.empty(counting(projects[0].options, histogram=histogram)).draft()
    failed = {}
    for place, project in enumerate(projects):
        try:
            draft.merge(project)
        except InvalidInput as error:  # too many partitions; or it contradicts itself
            failed[place] = Status(CellState.ERROR, str(error))
    return draft.done(), failed


def _placed(summary: Summary, first: Schema) -> Summary:
    try:
        return arranged(summary, first)
    except InvalidInput:  # a name means something else now: no index is worth keeping
        return summary


class _Admission:
    """Which contributions may count, found before any is summed."""

    def __init__(self) -> None:
        self._sources: set[str] = set()
        self._options: Options | None = None
        self._types: Mapping[str, str] = {}
        self._schema = Schema()

    def take(self, one: Contribution) -> Status | None:
        """Let a contribution in, or say why not."""
        sources = {one.source, *(leaf.source for leaf in one.provenance)}
        if twice := sorted(sources & self._sources):
            return Status(CellState.DUPLICATE_SOURCE, ", ".join(twice[:_MOST_NAMED]))
        options, ours = one.project.options, one.project.summary.schema
        try:
            check_mergeable(self._options or options, options)
            types = merged_types(self._types, one.project.known_types)
            schema, _ = self._schema.union(ours.names, ours.types, ours.bases)
        except TooLarge as error:
            return Status(CellState.ERROR, str(error))
        except TypeConflict as error:
            text = f"attribute [{error.column}] is {error.theirs}, expected {error.ours}"
            return Status(CellState.INCOMPATIBLE_SCHEMA, text)
        except InvalidInput as error:
            return Status(CellState.INCOMPATIBLE_SCHEMA, str(error))
        self._sources |= sources
        self._options = self._options or options
        self._types, self._schema = types, schema
        return None
