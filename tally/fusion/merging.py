"""The statistics of many projects as those of one, the same to the last bit on every machine.

Contributions are summed in the ascending order of their sources, with element-wise sums and
products only; and attributes are put in their order after that. So neither the order in which
they came, nor the order in which a node knows its attributes, nor the processor changes a sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tally.engine.arrange import arranged
from tally.engine.compatibility import check_mergeable
from tally.engine.options import Options
from tally.engine.prescribed import Prescribed
from tally.engine.project import Project
from tally.engine.rows import BINARY, CONTINUOUS
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.errors import InvalidInput
from tally.fusion.cells import CellState, Status
from tally.fusion.sources import Contribution, Leaf, counting


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

    Raises:
        TooLarge: there would be too many attributes or partitions.

    Example:
        >>> from tally.engine.options import Options
        >>> one = Contribution.of("a", "1-1", Project.empty(Options()))
        >>> merge([one, one]).refused[1].text
        'DUPLICATE_SOURCE: a'
    """
    accepted, refused = _Admission(), {}
    for place, one in enumerate(contributions):
        if (why := accepted.take(one)) is not None:
            refused[place] = why
    chosen = sorted(accepted.contributions, key=lambda one: one.source)
    project = _sum([one.project for one in chosen])
    if first is not None:
        project = replace(project, summary=_placed(project.summary, first))
    leaves = (leaf for one in chosen for leaf in one.provenance)
    return Merged(project, tuple(sorted(leaves, key=lambda leaf: leaf.source)), refused)


def _sum(projects: Sequence[Project]) -> Project:
    if not projects:
        return Project.empty(Options())
    histogram = any(project.histograms is not None for project in projects)
    draft = Project.empty(counting(projects[0].options, histogram=histogram)).draft()
    for project in projects:
        draft.merge(project)
    return draft.done()


def _placed(summary: Summary, first: Schema) -> Summary:
    try:
        return arranged(summary, first)
    except InvalidInput:  # a name means something else now: no index is worth keeping
        return summary


class _Admission:
    """Which contributions count, found before any is summed."""

    def __init__(self) -> None:
        self.contributions: list[Contribution] = []
        self._sources: set[str] = set()
        self._types: dict[str, str] = {}
        self._schema = Schema()

    def take(self, one: Contribution) -> Status | None:
        """Let a contribution in, or say why not."""
        sources = {one.source, *(leaf.source for leaf in one.provenance)}
        if twice := sorted(sources & self._sources):
            return Status(CellState.DUPLICATE_SOURCE, ", ".join(twice[:3]))
        project = one.project
        try:
            if self.contributions:
                check_mergeable(self.contributions[0].project.options, project.options)
            types = _merged_types(self._types, project.known_types)
            ours = project.summary.schema
            schema, _ = self._schema.union(ours.names, ours.types, ours.bases)
        except InvalidInput as error:
            return Status(CellState.INCOMPATIBLE_SCHEMA, str(error))
        self._sources |= sources
        self._types, self._schema = types, schema
        self.contributions.append(one)
        return None


def _merged_types(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    merged = dict(ours)
    for name, letter in theirs.items():
        known = merged.setdefault(name, letter)
        if known == letter:
            continue
        if {known, letter} != {BINARY, CONTINUOUS}:
            raise Prescribed(name, f"attribute [{name}] is {letter}, expected {known}")
        merged[name] = CONTINUOUS
    return merged
