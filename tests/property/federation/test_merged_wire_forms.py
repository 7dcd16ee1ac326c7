"""The sum of wire forms: the same bits at every peer, and the statistics of all rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.codec.project import encode
from tally.engine.frame import Frame
from tally.engine.options import PARTITION, Options
from tally.engine.project import Project
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.federation.foreign import foreign
from tally.federation.wire_form import wire_form
from tally.fusion.merging import merge
from tally.fusion.sources import Contribution

FAST = settings(max_examples=40)
PLAIN = Options(histogram=True)


@st.composite
def peers(draw: st.DrawFn) -> list[Frame]:
    """Rows of several peers, with numbers of one offset, a flag, a category, and gaps."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    offset = draw(st.sampled_from([0.0, 5.0, 1e9]))
    frames = []
    for k in range(draw(st.integers(2, 5))):
        n = draw(st.integers(10, 25))
        x, y = offset + random.normal(k, 1 + k, n), random.normal(size=n)
        if draw(st.booleans()):
            y[random.random(n) < 0.1] = np.nan
        towns = tuple(random.choice(["a", "b", f"only-{k}"], n).tolist())
        flag = random.integers(0, 2, n).astype(float)
        frame = Frame(("x", "town", "y", "f"), "CTCB", (x, towns, y, flag), n)
        frames.append(frame if draw(st.booleans()) else turned(frame))
    return frames


def turned(frame: Frame) -> Frame:
    """Return the frame with its columns the other way round."""
    return Frame(frame.names[::-1], frame.types[::-1], frame.columns[::-1], frame.rows)


def learned(frames: Sequence[Frame], options: Options = PLAIN) -> Project:
    draft = Project.empty(options).draft()
    for frame in frames:
        draft.learn(frame)
    return draft.done()


def sent(frames: Sequence[Frame], options: Options = PLAIN) -> list[Contribution]:
    """Return what every peer has of each, once over the wire."""
    found = []
    for k, frame in enumerate(frames):
        # Nothing is too rare: what is left out is the matter of other tests.
        form = wire_form(learned([frame], options), fewest=1).project
        found.append(
            Contribution.of(f"u{k}", "1-1", foreign(encode(form), options.partition or ""))
        )
    return found


def bits(summary: Summary) -> dict[tuple[str, str], tuple[float, ...]]:
    names = summary.schema.names
    return {
        (names[i], names[j]): tuple(getattr(summary.pair(i, j), field) for field in _FIELDS)
        for i in range(len(names))
        for j in range(len(names))
    }


_FIELDS = ("n", "origin_x", "origin_y", "px", "py", "qx", "qy", "c", "d", "e_xy", "e_yx")


@FAST
@given(peers())
def test_every_peer_has_the_same_bits(frames: list[Frame]) -> None:
    contributions = sent(frames)
    found = []
    for own in contributions:
        order = [own, *(one for one in reversed(contributions) if one is not own)]
        merged = merge(order, own.project.summary.schema)
        assert not merged.refused
        names = merged.project.summary.schema.names
        assert names[: len(own.project.summary.schema)] == own.project.summary.schema.names
        found.append(bits(merged.project.summary))
    assert all(one == found[0] for one in found)


@FAST
@given(peers())
def test_partitions_have_the_same_bits_at_every_peer_and_are_what_all_rows_give(
    frames: list[Frame],
) -> None:
    options = Options("partition", {PARTITION: "town"})
    contributions = sent(frames, options)
    merged = [merge(contributions, own.project.summary.schema) for own in contributions]
    pooled = learned(frames, options)
    for one in merged:
        assert not one.refused
        assert one.project.partitions.keys() == pooled.partitions.keys()
        for value, part in one.project.partitions.items():
            assert bits(part) == bits(merged[0].project.partitions[value])
    for value, part in merged[0].project.partitions.items():
        same_moments(part, pooled.partitions[value])


@FAST
@given(peers())
def test_the_sum_is_what_all_rows_give(frames: list[Frame]) -> None:
    merged = merge(sent(frames), Schema()).project
    pooled = learned(frames)
    assert merged.row_count == pooled.row_count
    same_moments(merged.summary, pooled.summary)
    assert merged.histograms is not None
    for name in ("x", "town$a", "f"):
        assert merged.histograms.distribution(name).rows == pooled.row_count


def same_moments(ours: Summary, theirs: Summary) -> None:
    assert sorted(ours.schema.names) == sorted(theirs.schema.names)
    there = [theirs.schema.index[name] for name in ours.schema.names]
    found, n = ours.covariance(range(len(there)))
    expected, expected_n = theirs.covariance(there)
    assert n.tolist() == expected_n.tolist()
    spread = np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
    told = n > 0  # of no rows there is no covariance
    assert (np.isnan(found) == ~told).all()
    assert (np.abs(found - expected)[told] <= (1e-9 * spread + 1e-15)[told]).all()


def test_the_order_of_arrival_matters_to_nothing() -> None:
    rows = np.random.default_rng(0).normal(1e9, 3, (3, 20))
    frames = [Frame(("x",), "C", (row,), 20) for row in rows]
    contributions = sent(frames)
    one, two = merge(contributions), merge(contributions[::-1])
    assert encode(one.project) == encode(two.project)
    assert one.project.summary.covariance([0])[0][0, 0] == pytest.approx(rows.var(), rel=1e-9)
