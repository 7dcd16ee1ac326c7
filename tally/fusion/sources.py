"""Statistics that came from somewhere: which state of which projects they count."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tally.engine.options import HASH_BINS, ORDER, PARTITION, Options
from tally.engine.project import Project

_COUNTED = (ORDER, PARTITION, HASH_BINS)  # creation keys that say what is counted


@dataclass(frozen=True, slots=True)
class Leaf:
    """Rows of one project in one state. What was merged has a leaf for each project in it.

    Attributes:
        source: the project's uuid.
        version: of its statistics then.
        rows: that they count.
    """

    source: str
    version: str
    rows: int


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one cell, or one peer, gives to a merge.

    Attributes:
        source: uuid of the project that gave it.
        version: of its statistics.
        project: those, without rows.
        provenance: whose rows they count; of a project that learns by itself, its own.
    """

    source: str
    version: str
    project: Project
    provenance: tuple[Leaf, ...]

    @classmethod
    def of(cls, source: str, version: str, project: Project) -> Contribution:
        """Return what a project gives that learned all of its rows itself."""
        mine = statistics_of(project)
        return cls(source, version, mine, (Leaf(source, version, mine.row_count),))

    @property
    def rows(self) -> int:
        """How many rows it counts."""
        return self.project.row_count


def statistics_of(project: Project) -> Project:
    """Return what of a project may be merged elsewhere: counts, and no row.

    The rows of a rolling window stay behind, and so does what the project was created with, but
    for what says what is counted.

    Example:
        >>> options = Options("gpu", {"sml_project_rolling_window_size": "9", "note": "mine"})
        >>> shared = statistics_of(Project.empty(options))
        >>> shared.options.kind, dict(shared.options.params), shared.window
        ('cpu', {}, None)
    """
    return replace(project, options=counting(project.options), window=None)


def counting(options: Options, *, histogram: bool = False) -> Options:
    """Return options of which only those are left that say what is counted."""
    kind = options.kind if options.kind in ("sequence", "partition") else "cpu"
    params = {key: options.params[key] for key in _COUNTED if key in options.params}
    return Options(kind, params, histogram)
