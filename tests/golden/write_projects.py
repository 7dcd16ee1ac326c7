"""Writes the golden projects that are missing: one of each kind, and what is asked of it.

Run `python -m tests.golden.write_projects`. A file that exists is never written again; a new
format of the stored bytes adds files of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tally.codec.container import VERSION, seal
from tally.codec.project import FORMAT_VERSION, encode
from tally.engine.frame import Frame
from tally.engine.options import (
    EMBEDDED,
    HASH_BINS,
    ORDER,
    PARTITION,
    ROW_FILTER,
    WINDOW,
    Options,
)
from tally.engine.project import Project

HERE = Path(__file__).parent

CASES: Mapping[str, Options] = {
    "plain": Options("cpu", {ROW_FILTER: "x>-3", "lr_unknown": "kept"}, histogram=True),
    "window": Options("cpu", {WINDOW: "10"}, histogram=True),
    "embedded": Options("cpu", {WINDOW: "10", EMBEDDED: "true"}),
    "hashed": Options("gpu", {HASH_BINS: "3"}),
    "partition": Options("partition", {PARTITION: "grade"}),
    "sequence": Options("sequence", {ORDER: "2"}),
    "part": Options("cpu", histogram=True),
}


def frames() -> list[Frame]:
    """Return rows with missing cells, a category and attributes that come late."""
    time = np.arange(24.0)
    x = np.where(time % 5 == 3, math.nan, 1e6 + np.round(8 * np.cos(time)) / 8)
    y = (time % 3 == 0).astype(np.float64)
    colors = tuple(("Red", "blue", None, " green ")[row % 4] for row in range(24))
    grades = tuple(("a", "B", "b")[row % 3] for row in range(24))
    late = np.round(4 * np.sin(time)) / 4
    first, second = slice(0, 14), slice(14, 24)
    return [
        Frame(
            ("x", "y", "color", "grade"),
            "CBTS",
            (x[first], y[first], colors[first], grades[first]),
            14,
        ),
        Frame(
            ("late", "color", "x", "grade"),
            "CTCS",
            (late[second], colors[second], x[second], grades[second]),
            10,
        ),
    ]


def project(case: str) -> Project:
    """Return a project that has learned these frames."""
    draft = (Project.part if case == "part" else Project.empty)(CASES[case]).draft()
    for frame in frames():
        if case == "sequence":
            frame = Frame(("step",), "S", (frame.texts(frame.names.index("grade")),), frame.rows)
        draft.learn(frame)
        if case == "part":
            draft.forget(frame.take(np.arange(frame.rows) % 3 == 0))
    return draft.done()


def numbers(of: Project) -> dict[str, object]:
    """Return what a golden project must answer."""
    summary = of.summary
    every = range(len(summary.schema))
    covariances, counts = summary.covariance(every)
    origins = [moments.origin for moments in map(summary.moments, every)]
    sums = [(m.n, m.s1, m.s2, m.s3, m.s4) for m in map(summary.moments, every)]
    window = of.window
    apart = {} if of.forgotten is None else {"forgotten": numbers(of.forgotten)}
    return {
        **apart,
        "names": summary.schema.names,
        "types": summary.schema.types,
        "known_types": dict(of.known_types),
        "rows": of.row_count,
        "counts": counts.tolist(),
        "covariances": np.nan_to_num(covariances).tolist(),
        "origins": origins,
        "sums": sums,
        "partitions": {value: part.counts().tolist() for value, part in of.partitions.items()},
        "window": None if window is None else np.nan_to_num(window.buffer.joined().values).tolist(),
        "median": None if of.histograms is None else of.histograms.distribution("x").median,
    }


def main() -> None:
    """Write what is missing."""
    for case in CASES:
        binary = HERE / f"{case}.v{FORMAT_VERSION}.project"
        if not binary.exists():
            made = project(case)
            binary.write_bytes(encode(made))
            binary.with_suffix(".project.json").write_text(json.dumps(numbers(made)) + "\n")
    sealed = HERE / f"plain.v{VERSION}.export"
    if not sealed.exists():
        sealed.write_text(seal((HERE / f"plain.v{FORMAT_VERSION}.project").read_bytes()))


if __name__ == "__main__":
    main()
