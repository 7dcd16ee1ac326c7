"""What can be asked of a project: metrics of one attribute, of two, of all; densities; drift.

Functions of immutable snapshots: numbers and names in, numbers out. Undefined numbers are NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tally.engine.explore.anova import anova
from tally.engine.explore.bivariate import bivariate
from tally.engine.explore.chi2 import chi_squared
from tally.engine.explore.context import Context, Source
from tally.engine.explore.density import Density, conditional_density, density
from tally.engine.explore.drift import drift
from tally.engine.explore.gain import information_gain
from tally.engine.explore.hypothesis_tests import (
    f_test,
    f_test_of_variance,
    t_test,
    t_test_of_mean,
    z_test,
    z_test_of_mean,
    z_test_of_proportions,
)
from tally.engine.explore.pca import Components, principal_components
from tally.engine.explore.refusals import (
    HistogramDisabled,
    MissingParameter,
    UnknownAttribute,
    UnknownMetric,
)
from tally.engine.explore.svd import singular_values, singular_values_of_subset
from tally.engine.explore.univariate import univariate
from tally.engine.explore.vif import variance_inflation

METRICS: Mapping[str, Callable[[Source, Context], dict[str, float]]] = {
    "uni": univariate,
    "bi": bivariate,
    "ztest": z_test,
    "ztestp": z_test_of_proportions,
    "ztestmu": z_test_of_mean,
    "ttest": t_test,
    "ttestmu": t_test_of_mean,
    "ftest": f_test,
    "ftestmu": f_test_of_variance,
    "anova": anova,
    "chi2": chi_squared,
    "gain": information_gain,
}
"""What `explore` answers, by name."""


def explore(source: Source, metric: str, context: Context) -> dict[str, float]:
    """Return a metric's values by key.

    Raises:
        UnknownMetric: there is none of this name.
        InvalidInput: the question names the wrong number or kind of attributes, or lacks a
            parameter.
    """
    answer = METRICS.get(metric)
    if answer is None:
        raise UnknownMetric(metric)
    return answer(source, context)


__all__ = [
    "METRICS",
    "Components",
    "Context",
    "Density",
    "HistogramDisabled",
    "MissingParameter",
    "Source",
    "UnknownAttribute",
    "UnknownMetric",
    "conditional_density",
    "density",
    "drift",
    "explore",
    "principal_components",
    "singular_values",
    "singular_values_of_subset",
    "variance_inflation",
]
