"""Writes the golden files that are missing: one model and its forecast for each family.

Run with every optional family installed: `python tests/golden/write_golden.py`. A file that
exists is never written again; a new format of the stored bytes adds files of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tally.codec.binary import FORMAT_VERSION, encode
from tally.forecast.base import Vector
from tally.forecast.families import FAMILIES, defaults
from tally.forecast.fitting import load

HERE = Path(__file__).parent


def series() -> Vector:
    """Return ten weeks of days with a weekly season."""
    time = np.arange(70)
    season = np.array([3.0, 1, 0, -1, -2, -1, 0])
    return np.asarray(10 + 0.1 * time + season[time % 7] + np.cos(time))


def main() -> None:
    """Write what is missing."""
    for name in FAMILIES:
        binary = HERE / f"{name}.v{FORMAT_VERSION}.model"
        if binary.exists():
            continue
        model = load(name).fit(series(), 7, defaults(name))
        forecast = model.forecast(14, (95.0,))
        binary.write_bytes(encode(model.state()))
        numbers = {"mean": forecast.mean.tolist(), "upper": forecast.upper[95.0].tolist()}
        binary.with_suffix(".json").write_text(json.dumps(numbers) + "\n")


if __name__ == "__main__":
    main()
