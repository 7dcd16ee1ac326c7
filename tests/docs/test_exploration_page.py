"""What docs/reference/exploration.md shows is what the engine answers, key by key."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tally.engine.counts import Histograms
from tally.engine.explore import METRICS, Context, density, explore
from tally.engine.explore.drift import METRICS as DRIFT_METRICS
from tally.engine.rows import Rows
from tally.engine.summary import Summary

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "exploration.md").read_text()
EXAMPLES = re.findall(r"^```json (\w+)\n(.*)\n(.*)\n```$", PAGE, re.MULTILINE)


@dataclass(frozen=True)
class Iris:
    summary: Summary
    histograms: Histograms | None


@pytest.fixture(scope="module")
def iris() -> Iris:
    with (ROOT / "tests" / "data" / "iris" / "Iris_rtlm.csv").open() as file:
        names, *cells = csv.reader(file)
    rows = Rows(tuple(names), "C" * 4 + "B" * 11, (None,) * 15, np.array(cells, float))
    summary, histograms = Summary.empty().draft(), Histograms.empty().draft()
    summary.add(rows)
    histograms.add(rows)
    return Iris(summary.done(), histograms.done())


@pytest.mark.parametrize(("metric", "question", "answer"), EXAMPLES)
def test_an_example_is_what_is_answered(
    iris: Iris, metric: str, question: str, answer: str
) -> None:
    asked = json.loads(question)
    params = asked.get("extraParameters", {})
    inputs, targets = asked["inputAttributes"], asked.get("targets", [])
    found = explore(iris, metric, Context(tuple(inputs), tuple(targets), params))
    expected = json.loads(answer)
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-9)


def test_every_metric_and_every_key_is_on_the_page(iris: Iris) -> None:
    known = {"sml_explore_ztest_known_mu": "1", "sml_explore_ttest_known_mu": "1"}
    known |= {"sml_explore_ftest_known_sigma": "1", "need_bi_conditional_ci95": "true"}
    known |= {"need_bi_conditional_mmm": "true"}
    inputs = {"bi": "0 4", "ztest": "0 4 5", "ttest": "0 4 5", "ftest": "0 4 5", "ztestp": "4 5"}
    targets = {"anova": ("12",), "chi2": ("12",), "gain": ("12",)}
    inputs |= {"chi2": "4 5", "gain": "4"}
    for metric in METRICS:
        context = Context(
            tuple(inputs.get(metric, "0").split()), targets.get(metric, ()), params=known
        )
        assert f"`{metric}`" in PAGE
        for key in explore(iris, metric, context):
            if not key.startswith("obs$"):
                assert f"`{key}`" in PAGE, (metric, key)
    for name in (*DRIFT_METRICS, *known):
        assert f"`{name}`" in PAGE, name


def test_the_density_told_of_is_the_one_answered(iris: Iris) -> None:
    found = density(iris, Context(("sepal_length",), params={"hist_bins": "5"}))
    rows = ", ".join(f"{rows:g}" for rows in found.histogram)
    told = f"min {found.minimum:g}, max {found.maximum:g}, width {found.width:g}, and {rows} rows"
    assert told in PAGE
