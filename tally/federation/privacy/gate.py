"""Whether a snapshot may leave, all rules together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tally.engine.summary import Summary
from tally.federation.privacy.likeness import Sample, integral_test, ks_test, t_test
from tally.federation.privacy.minimum import too_few
from tally.federation.privacy.patients import FEWEST_PATIENTS
from tally.federation.privacy.reason import Blocked, Reason
from tally.federation.privacy.record import LocalRecord
from tally.federation.privacy.spread import Spread

Standing = tuple[Summary, LocalRecord]
"""Statistics at one time, in the form in which they leave, and what is kept beside them."""


def blocked(
    now: Standing, approved: Standing | None, attributes: int, *, strict: bool = False
) -> Blocked | None:
    """Return why a snapshot may not leave; None if it may.

    The HIPAA rules are applied if the record keeps patients.

    Args:
        now: what would leave.
        approved: when the last snapshot left; None before the first.
        attributes: that would be shared, each value of a category being one.
        strict: see `fewest_rows`.
    """
    (summary, record), earlier = now, None if approved is None else approved[1].turnover
    found = too_few(record.turnover, earlier, attributes, strict=strict)
    if found is not None or record.patients is None:
        return found
    if len(record.patients) < FEWEST_PATIENTS:
        return Blocked(
            Reason.PATIENTS, f"{len(record.patients)} patients; {FEWEST_PATIENTS} are needed"
        )
    return None if approved is None else _unlike((summary, record), approved)


def _unlike(now: Standing, approved: Standing) -> Blocked | None:
    """Return the first attribute whose change does not look like what was there before.

    What came and what went are judged apart: a value that replaced another must look like the
    others, and so must the one that it replaced. An attribute that did not leave before has
    nothing to look like: with it, this is a first snapshot. One that does not leave is not tested.
    """
    for name, before, after in _spreads(approved, now):
        if not before.rows:
            continue
        for part in after.less(before).parts():
            if not part.rows:
                continue
            # In bins of the same width, or a middle would be compared with an edge.
            width = max(before.width, part.width)
            one, two = Sample.of_spread(before.coarser(width)), Sample.of_spread(part)
            if not (t := t_test(one, two)).passed:
                return Blocked(Reason.T_TEST, f"{name}: p {t.p:.3g} that its means are equal")
            for test, reason in ((ks_test, Reason.KS_TEST), (integral_test, Reason.INTEGRAL_TEST)):
                if not (distance := test(one, two)).passed:
                    told = f"{name}: distance {distance.value:.3g}, limit {distance.limit:.3g}"
                    return Blocked(reason, told)
    return None


def _spreads(approved: Standing, now: Standing) -> Iterator[tuple[str, Spread, Spread]]:
    """Yield each attribute with its distribution then and now."""
    nothing = Spread.empty()
    for name, spread in now[1].spreads.items():
        if name in now[0].schema.index and name in approved[0].schema.index:
            yield name, approved[1].spreads.get(name, nothing), spread
    # A value of a category was 0 in rows that came before it: only the statistics know of those.
    for i, base in enumerate(now[0].schema.bases):
        if base is None:
            continue
        name, then = now[0].schema.names[i], approved[0].schema
        known = then.index.get(name)
        if known is not None:
            before = _zeros_and_ones(approved[0], known)
        elif base in then.members:
            before = _of_counts(approved[0].moments(then.members[base][0]).n, 0.0)
        else:
            before = nothing
        yield name, before, _zeros_and_ones(now[0], i)


def _zeros_and_ones(summary: Summary, i: int) -> Spread:
    moments = summary.moments(i)
    return _of_counts(moments.n - moments.s1, moments.s1)


def _of_counts(zeros: float, ones: float) -> Spread:
    counts = np.array([zeros, ones]).astype(np.int64)
    there = counts > 0
    return Spread(np.array([0.0, 1.0])[there], counts[there])
