"""Tally's models with scikit-learn's conventions; needs the `sklearn` extra.

`TallyRegressor` and `TallyClassifier` learn in this process: they keep statistics and no rows, so
they can be fed in parts, merged, and made to forget. `RemoteRegressor` and `RemoteClassifier`
stand for a model of a project on a server; `Project.fit` returns them.
"""

from importlib.util import find_spec

from tally.errors import AlgorithmUnavailable

if find_spec("sklearn") is None:
    raise AlgorithmUnavailable(
        "tally.sklearn", "it needs scikit-learn; install it with: pip install 'tally[sklearn]'"
    )

from tally.sklearn.classifier import TallyClassifier
from tally.sklearn.regressor import TallyRegressor
from tally.sklearn.remote import RemoteClassifier, RemoteRegressor, estimator_of

__all__ = [
    "RemoteClassifier",
    "RemoteRegressor",
    "TallyClassifier",
    "TallyRegressor",
    "estimator_of",
]
