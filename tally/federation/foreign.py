"""Another peer's statistics, which may be anything but what they should be."""

from __future__ import annotations

from tally.codec import plausible
from tally.codec import project as codec
from tally.engine.frame import CATEGORY, NUMERIC
from tally.engine.options import PARTITION
from tally.engine.project import Project
from tally.engine.rows import BINARY
from tally.engine.schema import Schema
from tally.errors import CorruptState
from tally.wire.cell_statistics import MAX_ROWS


def foreign(payload: bytes, partition: str = "") -> Project:
    """Return the statistics that a peer has sent.

    Their numbers may be those of no rows at all, as long as they can be added to others.

    Args:
        payload: in wire form.
        partition: the column of the federation's partitions; empty: it has none.

    Raises:
        CorruptState: they are not in wire form, partitioned otherwise, or beyond those of any rows.

    Example:
        >>> from tally.engine.options import Options
        >>> foreign(codec.encode(Project.empty(Options("cpu")))).row_count
        0
    """
    project = codec.decode(payload)
    theirs = project.options.partition or ""
    if theirs != partition:
        raise CorruptState(
            f"the statistics are partitioned by [{theirs[:200]}], those of this federation by"
            f" [{partition}]"
        )
    if not (_bare(project) and _counted(project) and _partitioned(project)):
        raise CorruptState("the statistics are not in the form in which they leave a peer")
    plausible.check(project)
    return project


def _bare(project: Project) -> bool:
    """Tell whether nothing is there but what is counted."""
    options, schema = project.options, project.summary.schema
    letters = {
        name: NUMERIC for name, base in zip(schema.names, schema.bases, strict=True) if base is None
    } | dict.fromkeys(schema.members, CATEGORY)
    return (
        options.kind in ("cpu", "partition")
        and set(options.params) <= {PARTITION}
        and project.window is None
        and project.forgotten is None
        and all(
            len(letter) == 1 and letter in letters.get(name, "")
            for name, letter in project.known_types.items()
        )
    )


def _counted(project: Project) -> bool:
    """Tell whether there are at least as many rows as have any attribute."""
    return bool(project.summary.counts().max(initial=0) <= project.row_count <= MAX_ROWS)


def _partitioned(project: Project) -> bool:
    """Tell whether the partitions could be those of the whole."""
    if project.options.partition is None:
        return not project.partitions
    schema, left = project.summary.schema, project.summary.counts()
    for part in project.partitions.values():
        if not _known(part.schema, schema):
            return False
        left[[schema.index[name] for name in part.schema.names]] -= part.counts()
    return bool((left >= 0).all())


def _known(part: Schema, whole: Schema) -> bool:
    """Tell whether a partition's attributes mean the same in the whole."""
    places = [whole.index.get(name, -1) for name in part.names]
    # A number that was 0 or 1 in all rows of a partition may be any other elsewhere.
    return all(
        i >= 0 and whole.bases[i] == base and kind in (BINARY, whole.types[i])
        for i, base, kind in zip(places, part.bases, part.types, strict=True)
    )
