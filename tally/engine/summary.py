"""The statistics of rows: what exploration and models are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tally.engine.schema import Schema
from tally.engine.sums import Floats, Sums

if TYPE_CHECKING:
    from tally.engine.draft import Draft


@dataclass(frozen=True, slots=True)
class Moments:
    """Power sums of one attribute, over the `n` rows in which it is present.

    `s1` to `s4` are the sums of (x - origin) to the powers of 1 to 4.
    """

    n: float
    origin: float
    s1: float
    s2: float
    s3: float
    s4: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Sums of two attributes, over the `n` rows in which both are present.

    With u = x - origin_x and v = y - origin_y: `px`, `py` are the sums of u and v, `qx`, `qy` of
    u^2 and v^2, `c` of uv, `d` of u^2 v^2, `e_xy` of u^2 v, `e_yx` of v^2 u.
    """

    n: float
    origin_x: float
    origin_y: float
    px: float
    py: float
    qx: float
    qy: float
    c: float
    d: float
    e_xy: float
    e_yx: float


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """The statistics of rows, of which none is kept; immutable.

    Example:
        >>> from tally.engine.rows import Rows
        >>> draft = Summary.empty().draft()
        >>> draft.add(Rows(("x", "y"), "CB", (None, None), np.array([[1.0, 0], [3.0, 1]])))
        >>> summary = draft.done()
        >>> summary.counts(), summary.covariance([0, 1])[0]
        (array([2., 2.]), array([[1.  , 0.5 ],
               [0.5 , 0.25]]))
    """

    _sums: Sums

    @classmethod
    def empty(cls) -> Summary:
        """Return the statistics of no rows."""
        return cls.of(Sums.zeros(Schema()))

    @classmethod
    def of(cls, sums: Sums) -> Summary:
        """Return the summary with these sums, which nobody may change any more."""
        for array in (sums.origins, *sums.arrays):
            array.flags.writeable = False
        return cls(sums)

    @property
    def schema(self) -> Schema:
        """The attributes."""
        return self._sums.schema

    @property
    def sums(self) -> Sums:
        """The sums, to read only."""
        return self._sums

    @property
    def size_bytes(self) -> int:
        """The memory that the sums take."""
        return sum(array.nbytes for array in (self._sums.origins, *self._sums.arrays))

    def draft(self) -> Draft:
        """Return a draft that begins as this."""
        from tally.engine.draft import Draft

        return Draft(self._sums)

    def counts(self) -> Floats:
        """Return the number of rows in which each attribute is present (p,)."""
        return self._sums.counts()

    def moments(self, i: int) -> Moments:
        """Return the power sums of attribute `i`."""
        pair = self.pair(i, i)
        return Moments(pair.n, pair.origin_x, pair.px, pair.qx, pair.e_xy, pair.d)

    def pair(self, i: int, j: int) -> Pair:
        """Return the sums of attributes `i` and `j`."""
        sums, schema = self._sums, self.schema
        gi, gj = schema.groups[i], schema.groups[j]
        ri, rj = int(schema.rank[i]), int(schema.rank[j])
        px, py = float(sums.s[i, gj]), float(sums.s[j, gi])
        c = float(sums.pairs[max(i, j) + 1, min(i, j)])
        # x^2 = x for a binary attribute.
        e_xy = c if ri < 0 else float(sums.xxy[ri, j])
        e_yx = c if rj < 0 else float(sums.xxy[rj, i])
        if ri < 0 or rj < 0:
            d = e_yx if ri < 0 else e_xy
        else:
            d = float(sums.pairs[min(ri, rj), max(ri, rj)])
        return Pair(
            n=float(sums.n[gi, gj]),
            origin_x=float(sums.origins[i]),
            origin_y=float(sums.origins[j]),
            px=px,
            py=py,
            qx=px if ri < 0 else float(sums.q[ri, gj]),
            qy=py if rj < 0 else float(sums.q[rj, gi]),
            c=c,
            d=d,
            e_xy=e_xy,
            e_yx=e_yx,
        )

    def covariance(self, indexes: Sequence[int]) -> tuple[Floats, Floats]:
        """Return covariances and counts of the pairs of these attributes, both (k, k).

        Each covariance is that of the population of the rows in which both are present, divided
        by their number; NaN where there are none.
        """
        sums, i = self._sums, np.array(indexes, np.intp)
        g = self.schema.group_of[i]
        n = sums.n[np.ix_(g, g)]
        s = sums.s[np.ix_(i, g)]
        xy = sums.pairs[np.maximum(i[:, None], i) + 1, np.minimum(i[:, None], i)]
        with np.errstate(invalid="ignore", divide="ignore"):
            return (xy - s * s.T / n) / n, n
