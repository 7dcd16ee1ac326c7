"""The rule that always holds: so few rows, or so small a change, would tell of single rows."""

from __future__ import annotations

from tally.federation.messages import Reason

MARGIN = 5


def minimum_rows_refusal(*, rows: int, attrs: int, added: int, removed: int) -> Reason | None:
    """Return why statistics of these sizes may not leave; None: they may.

    Args:
        rows: in them.
        attrs: in them, categories counted one each.
        added, removed: since the last snapshot that left; both 0 if nothing has changed.

    Example:
        >>> minimum_rows_refusal(rows=8, attrs=4, added=8, removed=0)
        <Reason.MIN_ROWS: 'MIN_ROWS'>
        >>> minimum_rows_refusal(rows=58, attrs=4, added=8, removed=0)
        <Reason.MIN_DELTA: 'MIN_DELTA'>
        >>> minimum_rows_refusal(rows=59, attrs=4, added=9, removed=0)
    """
    least = attrs + MARGIN
    if rows < least:
        return Reason.MIN_ROWS
    if any(0 < changed < least for changed in (added, removed)):
        return Reason.MIN_DELTA
    return None
