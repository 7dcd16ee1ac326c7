"""The parts of one project as the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tally.engine.part import Known, whole
from tally.errors import InvalidInput
from tally.fusion.merging import Merged, merge
from tally.fusion.sources import Contribution, Leaf


def sum_of_parts(parts: Sequence[Contribution], known: Known) -> Merged:
    """Return a project as if it had learned and forgotten all rows itself.

    Args:
        parts: what each part has.
        known: what they know alike; the attributes come in its order.

    Returns:
        The sum. The rows of a leaf are those learned there less those forgotten there, which may
        be fewer than none.

    Raises:
        InvalidInput: the parts contradict each other, or more rows would be forgotten than were
            learned; it names the attribute.
    """
    learned = [replace(one, project=replace(one.project, forgotten=None)) for one in parts]
    merged = merge(learned, known.schema)
    for place, status in merged.refused.items():
        raise InvalidInput(parts[place].source, status.text)
    gone = [one.project.forgotten for one in parts if one.project.forgotten is not None]
    leaves = tuple(Leaf(one.source, one.version, _net(one)) for one in parts)
    return Merged(whole(merged.project, gone), leaves, {})


def _net(part: Contribution) -> int:
    gone = part.project.forgotten
    return part.rows - (0 if gone is None else gone.row_count)
