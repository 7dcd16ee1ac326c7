"""A contribution as bytes: the project's, and before them whose rows they count."""

from __future__ import annotations

from tally.codec import plausible
from tally.codec import project as projects
from tally.errors import CorruptState
from tally.fusion.sources import Contribution, Leaf
from tally.wire.cell_statistics import CellHead, LeafRecord, pack_cell, unpack_cell


def encode(contribution: Contribution) -> bytes:
    """Return a contribution as bytes; equal ones give equal bytes.

    Example:
        >>> from tally.engine.options import Options
        >>> from tally.engine.project import Project
        >>> one = Contribution.of("ab", "1-7", Project.empty(Options()))
        >>> decode(encode(one)).provenance
        (Leaf(source='ab', version='1-7', rows=0),)
    """
    return pack_cell(head(contribution), projects.encode(contribution.project))


def head(contribution: Contribution, *, not_modified: bool = False) -> CellHead:
    """Return what is told of a contribution besides its statistics."""
    leaves = contribution.provenance
    return CellHead(
        source=contribution.source,
        version=contribution.version,
        rows=contribution.rows,
        attributes=len(contribution.project.summary.schema),
        provenance=tuple(LeafRecord(leaf.source, leaf.version, leaf.rows) for leaf in leaves),
        not_modified=not_modified,
    )


def decode(data: bytes) -> Contribution:
    """Return the contribution in these bytes, which somebody else may have written.

    Raises:
        CorruptState: they are cut or changed, of a newer version of ours, those of a part, hold
            rows, or sums that no rows give.
    """
    told, body = unpack_cell(data)
    project = projects.decode(body)
    if told.rows != project.row_count:
        raise CorruptState(
            f"a cell says that it has {told.rows} rows; its statistics count {project.row_count}"
        )
    if project.forgotten is not None:
        raise CorruptState("a cell's statistics are those of a part of a project")
    if project.window is not None:
        raise CorruptState("a cell's statistics hold rows of a window")
    plausible.check(project)
    leaves = tuple(Leaf(leaf.source_uuid, leaf.version, leaf.rows) for leaf in told.provenance)
    return Contribution(told.source, told.version, project, leaves)
