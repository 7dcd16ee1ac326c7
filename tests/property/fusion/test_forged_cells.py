"""A cell may give anything: what can be read of it neither raises nor leaves the floats."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.codec import project as projects
from tally.codec.contribution import decode
from tally.codec.tensors import pack, unpack
from tally.engine.frame import Frame
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import CorruptState
from tally.fusion.merging import merge
from tally.fusion.sources import Contribution
from tally.wire.cell_statistics import CellHead, pack_cell

NAMES = st.sampled_from(["", "x", "y", "b", "color", "color$r", "z"])
NUMBERS = st.sampled_from([1e308, -1e308, 1e200, -1.0, 0.0, 0.5, 7.0, 2.0**53])


def learned() -> Project:
    draft = Project.empty(Options(histogram=True)).draft()
    x, y, b = (np.array(v, float) for v in ([1, 2, 4], [3, np.nan, 4], [0, 1, 1]))
    draft.learn(Frame(("x", "y", "b", "color"), "CCBT", (x, y, b, ("r", "g", None)), 3))
    return draft.done()


HONEST = Contribution.of("h" * 32, "1-1", learned())
ARRAYS, META = unpack("project", projects.FORMAT_VERSION, projects.encode(HONEST.project))
FLOATS = sorted(name for name, array in ARRAYS.items() if array.dtype == float and array.size)


@st.composite
def forged(draw: st.DrawFn) -> bytes:
    """Return a whole contribution with its digests right, and a few things changed."""
    arrays = {name: array.copy() for name, array in ARRAYS.items()}
    for name in draw(st.lists(st.sampled_from(FLOATS), max_size=2)):
        at = draw(st.integers(0, arrays[name].size - 1))
        arrays[name].reshape(-1)[at] = draw(NUMBERS)
    schema: dict[str, Any] = dict(META["schema"])
    if draw(st.booleans()):
        names = list(schema["names"])
        names[draw(st.integers(0, len(names) - 1))] = draw(NAMES)
        bases = list(schema["bases"])
        bases[draw(st.integers(0, len(bases) - 1))] = draw(st.none() | NAMES)
        schema |= {"names": names, "bases": bases}
    rows = draw(st.sampled_from([3, 0, 2**53]))
    body = pack(
        "project", projects.FORMAT_VERSION, arrays, {**META, "schema": schema, "rows": rows}
    )
    return pack_cell(CellHead(source="f" * 32, version="1-1", rows=rows), body)


@settings(max_examples=300)
@given(forged(), st.booleans())
def test_what_can_be_read_of_a_forged_cell_spoils_no_sum(data: bytes, comes_first: bool) -> None:
    try:
        cell = decode(data)
    except CorruptState:
        return
    merged = merge([cell, HONEST] if comes_first else [HONEST, cell])
    assert all(np.isfinite(array).all() for array in merged.project.summary.sums.arrays)
    if not comes_first:
        assert HONEST.provenance[0] in merged.provenance
