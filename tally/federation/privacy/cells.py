"""The fewest rows where the local project is a fusion, whose cells learn without us.

How many rows a cell added and removed between two versions is not known, only by how many it has
more or less. So the change of each cell must be large enough by itself: 20 rows in and 17 out
look like 3, and stay.

A cell that went is remembered: came it back with one row more than it left with, whoever kept both
snapshots had that row.
"""

from __future__ import annotations

from collections.abc import Sequence

from tally.federation.messages import Leaf
from tally.federation.privacy.minimum import Turnover, fewest_rows, too_few
from tally.federation.privacy.reason import Blocked, Reason

MOST_GONE = 300
"""Cells that are remembered after they went; of more, the first to go are forgotten."""


def too_few_in_cells(
    now: Sequence[Leaf],
    approved: Sequence[Leaf] | None,
    attributes: int,
    gone: Sequence[Leaf] = (),
    *,
    strict: bool = False,
) -> Blocked | None:
    """Return why a snapshot stands on too few rows of its cells; None if it does not.

    A cell that came or went counts with all its rows, one that came back with those that changed
    since it left last. One of another version and as many rows counts as changed by none: rows may
    have been exchanged.

    Args:
        now: what would leave stands on.
        approved: what the last snapshot stood on; None before the first.
        gone: see `gone_from`.
        attributes: that are shared, each value of a category being one.
        strict: see `fewest_rows`.

    Example:
        >>> def at(rows, version): return [Leaf(source_uuid="a" * 32, version=version, rows=rows)]
        >>> too_few_in_cells(at(50, "1-1"), at(41, "1-0"), 4)
        >>> too_few_in_cells(at(50, "1-1"), at(42, "1-0"), 4).reason
        <Reason.MIN_DELTA: 'MIN_DELTA'>
    """
    rows = sum(leaf.rows for leaf in now)
    if (found := too_few(Turnover(rows), None, attributes, strict=strict)) or approved is None:
        return found
    fewest = fewest_rows(attributes, strict=strict)
    before, after = _counted(approved), _counted(now)
    before = {leaf.source_uuid: leaf for leaf in gone if leaf.source_uuid in after} | before
    for source in sorted(before.keys() | after.keys()):
        old, new = before.get(source), after.get(source)
        counts = (0 if old is None else old.rows, 0 if new is None else new.rows)
        if old and new and old.version == new.version:
            continue
        if (changed := abs(counts[1] - counts[0])) < fewest:
            return Blocked(
                Reason.MIN_DELTA,
                f"cell [{source}] has changed, to {changed} rows more or less than in the last "
                f"snapshot; {fewest} are needed in each cell that changes",
            )
    return None


def gone_from(
    now: Sequence[Leaf], approved: Sequence[Leaf], gone: Sequence[Leaf]
) -> tuple[Leaf, ...]:
    """Return the cells that left once and have no rows in a snapshot, as they left last.

    Args:
        now: what the snapshot stands on.
        approved, gone: what the one before stood on, and who was gone from it.

    Example:
        >>> def at(rows): return [Leaf(source_uuid="a" * 32, version="1-1", rows=rows)]
        >>> gone_from(at(0), at(0), at(50)) == gone_from([], at(50), []) == tuple(at(50))
        True
        >>> gone_from(at(70), [], at(50))
        ()
    """
    here = _counted(now)
    left = {leaf.source_uuid: leaf for leaf in gone} | _counted(approved)
    return tuple(leaf for source, leaf in left.items() if source not in here)[-MOST_GONE:]


def _counted(leaves: Sequence[Leaf]) -> dict[str, Leaf]:
    return {leaf.source_uuid: leaf for leaf in leaves if leaf.rows}


def turned_over(turnover: Turnover, before: Sequence[Leaf], after: Sequence[Leaf]) -> Turnover:
    """Return the turnover after cells have changed, so far as it is known; it never goes back.

    Example:
        >>> def at(rows, version): return [Leaf(source_uuid="a" * 32, version=version, rows=rows)]
        >>> turned_over(Turnover(50), at(50, "1-0"), at(47, "1-1"))
        Turnover(added=50, removed=3)
    """
    old, new = ({leaf.source_uuid: leaf for leaf in leaves} for leaves in (before, after))
    for source in old.keys() | new.keys():
        was, now = old.get(source), new.get(source)
        counts = (0 if was is None else was.rows, 0 if now is None else now.rows)
        if was and now and was.version != now.version and was.rows == now.rows:
            # All may be other rows: something is new.
            turnover = turnover.learned(now.rows).forgot(was.rows)
        turnover = turnover.learned(max(0, counts[1] - counts[0]))
        turnover = turnover.forgot(max(0, counts[0] - counts[1]))
    return turnover
