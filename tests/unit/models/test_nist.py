"""NIST's reference data for least squares: how many digits sums in float64 keep.

Each test compares with NIST's certified coefficients; docs/decisions tells what was measured.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.errors import FitFailed
from tally.models.attributes import Chosen
from tally.models.base import Statistics
from tally.models.families import family
from tally.models.fitting import fit
from tally.models.model import Model

Floats = NDArray[np.float64]
DATA = Path(__file__).parents[2] / "data" / "nist"


def read(name: str) -> dict[str, Floats]:
    return {
        key: np.array(value)
        for key, value in json.loads((DATA / f"{name}.json").read_text()).items()
        if isinstance(value, list)
    }


def powers(x: Floats, degree: int) -> Floats:
    return np.stack([x**k for k in range(1, degree + 1)], axis=1)


def built(x: Floats, y: Floats, pieces: int = 1, **parameters: str) -> Model:
    """Return the regression on rows that were learned in so many pieces, and merged."""
    both = np.column_stack([x, y])
    p = x.shape[1]
    names = (*(f"x{k + 1}" for k in range(p)), "y")
    draft = Summary.empty().draft()
    for piece in range(pieces):
        part = Summary.empty().draft()
        part.add(Rows(names, "C" * (p + 1), (None,) * (p + 1), both[piece::pieces]))
        draft.merge(part.done())
    chosen = Chosen(tuple(range(p)), (p,))
    return fit(family("mlr"), Statistics(draft.done()), chosen, parameters)


def right_digits(model: Model, certified: Floats, column: str) -> float:
    """Return the digits that are right in the worst number of a column; the intercept is first."""
    found = np.asarray(model.tables["coefficients"][column], float)
    error = np.abs(np.append(found[-1], found[:-1]) / certified - 1).max()
    return float(-np.log10(max(error, 1e-17)))


def of_rows(x: Floats, y: Floats) -> Floats:
    """Return the coefficients by QR on the rows; the intercept is first."""
    q, r = np.linalg.qr(np.column_stack([np.ones(len(x)), x]))
    found: Floats = np.linalg.solve(r, q.T @ y)
    return found


@pytest.mark.parametrize("pieces", [1, 3])
def test_longley(pieces: int) -> None:
    data = read("longley")
    model = built(data["x"], data["y"], pieces)
    assert right_digits(model, data["beta"], "coefficient") > 10
    assert right_digits(model, data["sd"], "std.error") > 11
    assert right_digits(model, of_rows(data["x"], data["y"]), "coefficient") > 9
    assert "warning" not in model.info


@pytest.mark.parametrize("pieces", [1, 3])
def test_wampler5_keeps_the_digits_that_qr_on_the_rows_keeps(pieces: int) -> None:
    """Its noise is 10^7 times what the powers explain."""
    data = read("wampler5")
    x = powers(data["x"], 5)
    model = built(x, data["y"], pieces)
    rows = -np.log10(np.abs(of_rows(x, data["y"]) / data["beta"] - 1).max())
    assert right_digits(model, data["beta"], "coefficient") > min(rows, 5.5)
    assert right_digits(model, data["sd"], "std.error") > 9


@pytest.mark.parametrize("name", ["longley", "wampler5"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_rounding_moves_no_coefficient_by_more_than_the_model_says(name: str, pieces: int) -> None:
    data = read(name)
    x = data["x"] if name == "longley" else powers(data["x"], 5)
    found = built(x, data["y"], pieces).tables["coefficients"]
    coefficients = np.asarray(found["coefficient"], float)
    certified = np.append(data["beta"][1:], data["beta"][0])
    allowed = np.asarray(found["rounding"], float)
    # NIST gives 15 digits.
    moved = np.abs(coefficients - certified) - 1e-14 * np.abs(certified)
    assert (moved < allowed).all()
    assert (moved > allowed * 1e-4).any()


def test_filip_is_refused_because_no_digit_would_be_right() -> None:
    data = read("filip")
    with pytest.raises(FitFailed, match="singular") as refused:
        built(powers(data["x"], 10), data["y"])
    assert "take them about its mean" in str(refused.value)


def test_filip_about_the_mean_is_what_qr_finds() -> None:
    data = read("filip")
    x = powers((data["x"] - data["x"].mean()) / np.ptp(data["x"]) * 2, 10)
    model = built(x, data["y"])
    assert right_digits(model, of_rows(x, data["y"]), "coefficient") > 6
    assert model.info["r2"] == pytest.approx(0.996727416185620, rel=1e-9)


def test_offsets_of_1e9_cost_no_digit() -> None:
    random = np.random.default_rng(7)
    x = np.round(random.normal(size=(200, 4)) * 1024) / 1024
    y = x @ [1.0, -2.0, 0.5, 3.0] + np.round(random.normal(size=200) * 64) / 64
    near, far = built(x, y), built(x + 1e9, y - 1e9)
    one, other = near.tables["coefficients"], far.tables["coefficients"]
    for column in ("coefficient", "std.error", "ci.low", "ci.high"):
        found, expected = np.asarray(other[column], float), np.asarray(one[column], float)
        np.testing.assert_allclose(found[:-1], expected[:-1], rtol=1e-9)
    rows = {f"x{k + 1}": x[:, k] + 1e9 for k in range(4)}
    here = {f"x{k + 1}": x[:, k] for k in range(4)}
    shifted = np.asarray(far.predict(rows, 200)["res"], float) + 1e9
    np.testing.assert_allclose(
        shifted, np.asarray(near.predict(here, 200)["res"], float), atol=3e-7
    )
