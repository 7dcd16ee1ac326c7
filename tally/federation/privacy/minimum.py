"""The fewest rows that may be shared, at first and as a change.

From statistics of too few rows, and from the difference of two snapshots that differ by too few,
rows could be solved for. Of d + 5 rows, the first and second powers of d attributes have many
solutions. Third and fourth powers are shared as well, and have fewer: see `fewest_rows`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tally.federation.privacy.reason import Blocked, Reason

_MORE_THAN_ATTRIBUTES = 5


@dataclass(frozen=True, slots=True)
class Turnover:
    """Rows counted in and taken out again since a project began; neither ever goes back."""

    added: int = 0
    removed: int = 0

    @property
    def rows(self) -> int:
        """Rows that count now."""
        return self.added - self.removed

    def learned(self, rows: int) -> Turnover:
        """Return the turnover after so many more rows were learned."""
        return replace(self, added=self.added + rows)

    def forgot(self, rows: int) -> Turnover:
        """Return the turnover after so many rows were forgotten, or left a window."""
        return replace(self, removed=self.removed + rows)

    def since(self, earlier: Turnover) -> Turnover:
        """Return what was added and removed after an earlier time."""
        return Turnover(self.added - earlier.added, self.removed - earlier.removed)


def fewest_rows(attributes: int, *, strict: bool = False) -> int:
    """Return how many rows statistics of so many attributes must stand on.

    Args:
        attributes: d of them, each value of a category being one.
        strict: ask for 2 d + 3 rows instead of d + 5. There are 4 d power sums and 2 d (d - 1) sums
            of pairs (of x y, of x^2 y^2, and two of x^2 y). With no more cells than that a solver
            may find the rows; with more, it finds one of endlessly many tables.

    Example:
        >>> fewest_rows(4), fewest_rows(4, strict=True)
        (9, 11)
    """
    least = attributes + _MORE_THAN_ATTRIBUTES
    return max(least, 2 * attributes + 3) if strict else least


def too_few(
    now: Turnover, approved: Turnover | None, attributes: int, *, strict: bool = False
) -> Blocked | None:
    """Return why a snapshot stands on too few rows; None if it does not.

    Args:
        now: of the project.
        approved: when its last snapshot was let go; None before the first.
        attributes: that are shared, each value of a category being one.
        strict: see `fewest_rows`.

    Example:
        >>> too_few(Turnover(50), None, 4), too_few(Turnover(58), Turnover(50), 4).reason
        (None, <Reason.MIN_DELTA: 'MIN_DELTA'>)
    """
    fewest = fewest_rows(attributes, strict=strict)
    if now.rows < fewest:
        return Blocked(
            Reason.MIN_ROWS,
            f"{now.rows} rows of {attributes} attributes; {fewest} rows are needed",
        )
    if approved is None:
        return None
    change = now.since(approved)
    for rows, what in ((change.added, "added"), (change.removed, "removed")):
        if 0 < rows < fewest:
            return Blocked(
                Reason.MIN_DELTA,
                f"{rows} rows {what} since the last snapshot; {fewest} are needed, or none",
            )
    return None
