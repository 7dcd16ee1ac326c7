"""The origin that sums are kept about: near the mean, or their digits are lost.

At values around 1e9 with a spread of 1, the variance from sums about 0 is noise: the squares have
18 digits, a float 16.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tally.engine.sums import Floats, Sums

FAR = 8.0
"""Standard deviations between mean and origin from which on an origin moves to the mean.

Fourth powers lose a factor of `FAR ** 4` of their precision before that: 1e-12 is left.
"""

# With m = mean - origin and v = variance: m^2 > FAR^2 v, where m^2 + v is the mean square.
_FAR_OF_ALL = FAR * FAR / (1 + FAR * FAR)

_ROWS_AT_ONCE = 128


def first(values: Floats) -> Floats:
    """Return an origin (k,) for each column of the first rows (n, k), NaN where missing.

    It is the mean, taken about the first value, so that it is exact where all are the same; 0 for
    a column without values.

    Example:
        >>> first(np.array([[0.1, np.nan], [0.1, 3.0], [0.1, 4.0]]))
        array([0.1, 3.5])
    """
    present = ~np.isnan(values)
    counts = present.sum(axis=0)
    start = values[present.argmax(axis=0), np.arange(values.shape[1])]
    start[counts == 0] = 0.0
    offsets = np.where(present, values - start, 0.0).sum(axis=0)
    moved: Floats = start + offsets / np.maximum(counts, 1)
    return moved


def settle(sums: Sums) -> None:
    """Move the origins that are too far from their means."""
    c = sums.schema.continuous
    if not len(c):
        return
    groups = sums.schema.group_of[c]
    n = np.maximum(sums.n.diagonal()[groups], 1.0)
    mean = sums.s[c, groups] / n
    squares = sums.q[np.arange(len(c)), groups] / n
    far = mean * mean > _FAR_OF_ALL * squares
    if far.any():
        origins = sums.origins.copy()
        origins[c[far]] += mean[far]
        move(sums, origins)


def move(sums: Sums, origins: Floats) -> None:
    """Turn sums about their origins into sums about these, (p,).

    With a = old - new origin, y becomes y + a, and each product is multiplied out into the old
    sums.
    """
    a = sums.origins - origins
    if not a.any():
        return
    schema = sums.schema
    groups, c = schema.group_of, schema.continuous
    old = _Old(sums, sums.xy())
    xxyy = sums.xxyy()
    # Some rows at a time: a matrix of a large project takes megabytes. Each kind of sum before
    # those that it is made of.
    for rows in _blocks(len(c)):
        xxyy[rows, rows.start :] += old.added_to_xxyy(rows, a)
    for rows in _blocks(len(c)):
        sums.xxy[rows] += old.added_to_xxy(rows, a)
    # Row by row, a row needs the old values of itself only.
    for rows in _blocks(len(a)):
        old.xy[rows, : rows.stop] += old.added_to_xy(rows, a)
    sums.fold(old.xy, xxyy)
    ac = a[c, None]
    sums.q += 2 * ac * sums.s[c] + ac * ac * sums.n[groups[c]]
    sums.s += a[:, None] * sums.n[groups]
    sums.origins = origins.copy()


@dataclass(frozen=True, slots=True)
class _Old:
    """The sums about the old origins, by pairs of some attributes `i` with others `j`.

    Of symmetric sums only those are told that are kept: with `j` from the first `i` on where they
    stand above the diagonal, up to the last `i` where they stand below it.
    """

    sums: Sums
    xy: Floats

    def added_to_xxyy(self, rows: slice, a: Floats) -> Floats:
        sums, schema = self.sums, self.sums.schema
        from_ = slice(rows.start, None)
        i, j = schema.continuous[rows], schema.continuous[from_]
        gi, gj = schema.group_of[i], schema.group_of[j]
        ai, aj = a[i, None], a[j]
        cross = aj * sums.xxy[rows][:, j] + ai * sums.xxy[from_, i].T
        squares = aj * aj * sums.q[rows][:, gj] + ai * ai * sums.q[from_, gi].T
        firsts = aj * sums.s[np.ix_(i, gj)] + ai * sums.s[np.ix_(j, gi)].T
        found: Floats = (
            2 * cross
            + squares
            + ai * aj * (4 * self.xy[np.ix_(i, j)] + 2 * firsts + ai * aj * sums.n[np.ix_(gi, gj)])
        )
        return found

    def added_to_xxy(self, rows: slice, a: Floats) -> Floats:
        sums, schema = self.sums, self.sums.schema
        i, gj = schema.continuous[rows], schema.group_of
        gi, ai = gj[i], a[i, None]
        found: Floats = ai * (2 * self.xy[i] + ai * sums.s[:, gi].T) + a * (
            sums.q[rows][:, gj] + ai * (2 * sums.s[i][:, gj] + ai * sums.n[np.ix_(gi, gj)])
        )
        return found

    def added_to_xy(self, rows: slice, a: Floats) -> Floats:
        sums, groups = self.sums, self.sums.schema.group_of
        upto = slice(rows.stop)
        gi, gj, ai, aj = groups[rows], groups[upto], a[rows, None], a[upto]
        found: Floats = aj * sums.s[rows][:, gj] + ai * (
            sums.s[upto, gi].T + aj * sums.n[np.ix_(gi, gj)]
        )
        return found


def _blocks(length: int) -> Iterator[slice]:
    for start in range(0, length, _ROWS_AT_ONCE):
        yield slice(start, min(start + _ROWS_AT_ONCE, length))
