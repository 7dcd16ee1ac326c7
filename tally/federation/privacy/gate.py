"""Whether a snapshot may leave, all rules together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tally.engine.project import Project
from tally.engine.summary import Summary
from tally.federation.privacy.likeness import Sample, integral_test, ks_test, t_test
from tally.federation.privacy.minimum import too_few
from tally.federation.privacy.patients import FEWEST_PATIENTS
from tally.federation.privacy.reason import Blocked, Reason
from tally.federation.privacy.record import LocalRecord
from tally.federation.privacy.spread import Spread


@dataclass(frozen=True, slots=True)
class Standing:
    """Statistics at one time, in the form in which they leave, and what is kept beside them.

    Attributes:
        summary: the statistics.
        record: of their rows.
        partitions: the same of each partition that would leave.
    """

    summary: Summary
    record: LocalRecord
    partitions: Mapping[str, Standing] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Project, record: LocalRecord) -> Standing:
        """Return how a project in wire form stands."""
        unknown = LocalRecord()  # of no rows: it may not leave
        partitions = {
            value: cls(summary, record.partitions.get(value, unknown))
            for value, summary in project.partitions.items()
        }
        return cls(project.summary, record, partitions)


def blocked(
    now: Standing, approved: Standing | None, attributes: int, *, strict: bool = False
) -> Blocked | None:
    """Return why a snapshot may not leave; None if it may.

    The HIPAA rules are applied if the record keeps patients. Who reads a partition has statistics
    of its rows alone, so all rules hold for each as if it were a project of its own. One that
    cannot leave keeps back all: the others, and the whole, would tell it.

    Args:
        now: what would leave.
        approved: when the last snapshot left; None before the first.
        attributes: that would be shared, each value of a category being one.
        strict: see `fewest_rows`.
    """
    if (found := _kept_back(now, approved, attributes, strict=strict)) is not None:
        return found
    for value, part in now.partitions.items():
        before = None if approved is None else approved.partitions.get(value)
        if (found := _kept_back(part, before, attributes, strict=strict)) is not None:
            return replace(found, detail=f"partition {value!r}: {found.detail}")
    return None


def _kept_back(
    now: Standing, approved: Standing | None, attributes: int, *, strict: bool
) -> Blocked | None:
    record, earlier = now.record, None if approved is None else approved.record.turnover
    found = too_few(record.turnover, earlier, attributes, strict=strict)
    if found is not None or record.patients is None:
        return found
    if len(record.patients) < FEWEST_PATIENTS:
        return Blocked(
            Reason.PATIENTS, f"{len(record.patients)} patients; {FEWEST_PATIENTS} are needed"
        )
    return None if approved is None else _unlike(now, approved)


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
    for name, spread in now.record.spreads.items():
        if name in now.summary.schema.index and name in approved.summary.schema.index:
            yield name, approved.record.spreads.get(name, nothing), spread
    # A value of a category was 0 in rows that came before it: only the statistics know of those.
    for i, base in enumerate(now.summary.schema.bases):
        if base is None:
            continue
        name, then = now.summary.schema.names[i], approved.summary.schema
        known = then.index.get(name)
        if known is not None:
            before = _zeros_and_ones(approved.summary, known)
        elif base in then.members:
            before = _of_counts(approved.summary.moments(then.members[base][0]).n, 0.0)
        else:
            before = nothing
        yield name, before, _zeros_and_ones(now.summary, i)


def _zeros_and_ones(summary: Summary, i: int) -> Spread:
    moments = summary.moments(i)
    return _of_counts(moments.n - moments.s1, moments.s1)


def _of_counts(zeros: float, ones: float) -> Spread:
    counts = np.array([zeros, ones]).astype(np.int64)
    there = counts > 0
    return Spread(np.array([0.0, 1.0])[there], counts[there])
