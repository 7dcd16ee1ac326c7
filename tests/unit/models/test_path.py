from __future__ import annotations

import numpy as np
import pytest

from tally.models.penalties import Point, as_path
from tests.unit.models.iris import X3, build, table


@pytest.mark.parametrize("algo", ["ridge", "lasso", "elasticnet"])
def test_a_search_keeps_the_coefficients_along_the_chosen_mix(algo: str) -> None:
    model = build(algo, X3, ("0",), aicc="true", num_lambda="15", num_eta="3")
    penalties = np.asarray(model.tables["path_lambda"]["lambda"])
    assert list(model.tables["path"]) == ["sepal_width", "petal_length", "petal_width"]
    assert (np.diff(penalties) < 0).all()
    (place,) = np.flatnonzero(penalties == model.info["lambda"])
    names, values = table()
    for name, b in zip(
        model.tables["path"], model.tables["coefficients"]["coefficient"], strict=False
    ):
        along = np.asarray(model.tables["path"][name])
        assert along.shape == (15,)
        spread = values[:, names.index(name)].std()
        assert along[place] / spread == pytest.approx(b, rel=1e-9)


def test_a_path_of_too_many_numbers_is_not_kept() -> None:
    names = tuple(f"x{k}" for k in range(201))
    points = [Point(1.0, 0.5, np.ones(201), 0.0, 201)] * 100
    assert as_path(points, 0.5, names) == {}
    assert as_path(points[:99], 0.5, names)["path"]["x200"].tolist() == [1.0] * 99  # type: ignore[union-attr]
    assert as_path([*points[:2], Point(2.0, 0.1, np.zeros(201), 0.0, 0)], 0.1, names)[
        "path_lambda"
    ] == {"lambda": np.array([2.0])}
