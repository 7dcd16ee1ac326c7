from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tally.client.plot import Picture
from tally.client.plot_models import draw_coefficients, draw_path, draw_scree
from tally.client.results.components import Pca
from tally.client.results.info import Attribute
from tally.client.results.models import ModelInfo, Table
from tally.errors import InvalidInput


def model(names: list[str], tables: dict[str, Table], **info: str) -> ModelInfo:
    """Return a regression of y on these inputs."""
    inputs = tuple(Attribute(place, name, "C") for place, name in enumerate(names))
    given = {"alpha": "0.05", **info}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    answers = ("res",)
    return ModelInfo(
        "m", "lasso", 1, ("y",), inputs, now, 1, 1, 9.0, answers, answers, {}, given, tables
    )


def coefficients(count: int) -> ModelInfo:
    names = [f"x{place}" for place in range(count)]
    values = tuple(float(place - 1) for place in range(count + 1))
    table: Table = {
        "attribute": (*names, "intercept"),
        "coefficient": values,
        "scores": tuple(2 * value for value in values),
        "ci.low": tuple(value - 0.5 for value in values),
        "ci.high": tuple(value + 0.5 for value in values),
    }
    return model(names, {"coefficients": table})


def axes_of(picture: Picture) -> Any:
    (axes,) = picture.figure.axes
    return axes


def labels(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


def test_coefficients_have_names_units_and_intervals(tmp_path: Path) -> None:
    picture = draw_coefficients(coefficients(3))
    axes = axes_of(picture)
    assert labels(axes) == ["x0", "x1", "x2"]  # and no intercept
    assert axes.get_xlabel() == "change of y per unit of the input"
    points, lines = axes.collections[1], axes.collections[0]
    assert points.get_offsets()[:, 0].tolist() == [-1.0, 0.0, 1.0]
    assert [segment[:, 0].tolist() for segment in lines.get_segments()] == [
        [-1.5, -0.5], [-0.5, 0.5], [0.5, 1.5],
    ]  # fmt: skip
    assert [face[:3].tolist() == [1, 1, 1] for face in points.get_facecolors()] == [
        False, True, False,
    ]  # fmt: skip
    assert "95 % intervals (hollow: holds 0)" in picture.figure._suptitle.get_text()
    picture.save(tmp_path / "m.png")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_of_many_inputs_those_with_large_t_values_are_drawn() -> None:
    picture = draw_coefficients(coefficients(100), "scores")
    axes = axes_of(picture)
    assert labels(axes) == [f"x{place}" for place in range(40, 100)]
    assert axes.get_xlabel() == "t value"
    assert "the largest 60 of 100" in picture.figure._suptitle.get_text()
    with pytest.raises(InvalidInput, match="model m has no 'Iris'; it has coefficient, scores"):
        draw_coefficients(coefficients(3), "Iris")
    with pytest.raises(InvalidInput, match="it has none"):
        draw_coefficients(model(["x"], {}))


def path(count: int, chosen: float, steps: int = 9) -> ModelInfo:
    """Return a model whose coefficients are 0 from a penalty of 1 on."""
    penalties = tuple(10.0 ** (3 - place) for place in range(steps))
    names = [f"x{place}" for place in range(count)]
    lines = {
        name: tuple(max(0.0, (place + 1) * (1 - x)) for x in penalties)
        for place, name in enumerate(names)
    }
    tables: dict[str, Table] = {"path_lambda": {"lambda": penalties}, "path": lines}
    return model(names, tables, **{"lambda": str(chosen)})


def test_a_path_shows_where_something_happens_and_what_was_chosen() -> None:
    axes = axes_of(draw_path(path(3, 0.01)))
    low, high = axes.get_xlim()
    assert low == pytest.approx(1e-3, rel=0.1)
    assert high == pytest.approx(1.0, rel=0.1)
    assert [text.get_text() for text in axes.texts] == [" chosen: 0.01"]
    assert axes.get_ylabel() == "coefficient per standard deviation of the input"
    assert axes.get_xscale() == "log"
    far = axes_of(draw_path(path(3, 1e-5)))
    assert [text.get_text() for text in far.texts] == [" \N{LEFTWARDS ARROW} chosen: 1e-05"]
    beyond = axes_of(draw_path(path(3, 1e3)))
    assert beyond.texts[0].get_text().endswith("\N{RIGHTWARDS ARROW} ")


def test_of_many_lines_the_largest_have_names() -> None:
    picture = draw_path(path(40, 0.01))
    (legend,) = picture.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        f"x{place}" for place in range(39, 30, -1)
    ]
    assert legend.get_title().get_text() == "largest 9 of 40"
    with pytest.raises(InvalidInput, match="build a ridge, lasso or elasticnet with aicc=true"):
        draw_path(coefficients(3))


@pytest.mark.parametrize("count", [3, 40])
def test_components_are_drawn_with_what_they_explain_together(count: int) -> None:
    values = tuple(float(count - place) for place in range(count))
    found = Pca(tuple(map(str, values)), values, ((0.0,) * count,) * count, math.fsum(values))
    axes = axes_of(draw_scree(found, "p"))
    assert len(axes.patches) == count
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(100)
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "principal component",
        "explained variance, %",
    )
