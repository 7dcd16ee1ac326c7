from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tally.client.plot import draw_densities
from tally.client.results.densities import Density
from tally.errors import AlgorithmUnavailable, InvalidInput

WHOLE = Density("x", 0.0, 2.0, 1.0, (3.0, 1.0))


def test_a_density_is_a_picture_for_notebooks_and_files(tmp_path: Path) -> None:
    part = Density("x|late", 0.0, 2.0, 1.0, (1.0, 0.0))
    picture = draw_densities(WHOLE, [part], "loans")
    assert picture._repr_png_().startswith(b"\x89PNG")
    picture.save(tmp_path / "x.svg")
    assert b"<svg" in (tmp_path / "x.svg").read_bytes()
    (axes,) = picture.figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["all rows", "late"]


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("x.foo", r"x\.foo: it ends in no format of pictures"),
        ("x", "it ends in no format of pictures"),
        ("absent/x.png", r"absent/x\.png: No such file"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, file: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        draw_densities(WHOLE, [], "loans").save(tmp_path / file)


def test_an_attribute_of_one_value_has_a_picture(tmp_path: Path) -> None:
    constant = Density("x", 5.0, 5.0, 0.0, (7.0, 0.0))
    (axes,) = draw_densities(constant, [], "loans").figure.axes
    low, high = axes.get_xlim()
    assert low < 5.0 < high


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(AlgorithmUnavailable, match=r"pip install 'tally\[plot\]'"):
        draw_densities(WHOLE, [], "loans")
