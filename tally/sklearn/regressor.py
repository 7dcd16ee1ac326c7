"""A regression that learns from statistics."""

from __future__ import annotations

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from tally.engine.rows import CONTINUOUS, Rows
from tally.engine.summary import Summary
from tally.models.base import Floats, Statistics
from tally.models.linear import Linear
from tally.models.sized import Sized
from tally.sklearn.learning import Learning, Parameters, as_value_error, changed, merged


class TallyRegressor(RegressorMixin, Learning):  # type: ignore[misc]  # scikit-learn has no types
    """A regression of one target on all columns, made of statistics and not of rows.

    What it keeps does not grow with the rows: `partial_fit` adds rows, `forget` takes rows away,
    and `merge` adds what another estimator learned elsewhere. The result is that of one `fit` to
    all rows. Missing cells (NaN) are counted pair by pair, and predicted at their means.

    Args:
        algo: `mlr`, `ridge`, `lasso`, `elasticnet`, `pcr`, `plsq` or `lsvr`.
        parameters: of the algorithm by name, such as `{"lambda": 0.1}`.
        svdreduce: leave out inputs that those before them determine, rather than refuse them.

    Attributes:
        coef_: (n_features,); 0 for inputs that were left out.
        intercept_: a number.
        model_: with standard errors, intervals and what else the model tells of itself.
        summary_: the statistics.
        n_samples_seen_: rows learned.
        n_features_in_: columns.
        feature_names_in_: their names, where the rows had any.

    Example:
        >>> x, y = np.array([[0.0], [1.0], [2.0], [4.0]]), np.array([1.0, 3.0, 5.0, 9.0])
        >>> here = TallyRegressor().partial_fit(x[:2], y[:2])
        >>> there = TallyRegressor().partial_fit(x[2:], y[2:])
        >>> here.merge(there).predict([[10.0]]).round(9)
        array([21.])
    """

    _algos = ("mlr", "ridge", "lasso", "elasticnet", "pcr", "plsq", "lsvr")

    def __init__(
        self, algo: str = "mlr", parameters: Parameters | None = None, *, svdreduce: bool = False
    ) -> None:
        super().__init__(algo, parameters, svdreduce=svdreduce)

    def fit(self, X: object, y: object) -> TallyRegressor:
        """Learn rows, and nothing else.

        Raises:
            ValueError: the rows cannot be learned, or allow no such model; says why.
        """
        self._family()
        rows = self._checked(X, y, reset=True, fewest=2)
        self.summary_, self.n_samples_seen_ = Summary.empty(), 0
        self._change(rows, 1)
        _ = self.model_  # so that what cannot be fitted is told now
        return self

    def partial_fit(self, X: object, y: object) -> TallyRegressor:
        """Learn more rows. The model is made when it is next needed."""
        self._family()
        first = not self.__sklearn_is_fitted__()
        rows = self._checked(X, y, reset=first)
        if first:
            self.summary_, self.n_samples_seen_ = Summary.empty(), 0
        self._change(rows, 1)
        return self

    def forget(self, X: object, y: object) -> TallyRegressor:
        """Take rows away as if they had never been learned.

        Raises:
            ValueError: more rows than were learned.
        """
        _ = self.__sklearn_is_fitted__() or self.model_  # raises
        self._change(self._checked(X, y, reset=False), -1)
        return self

    def merge(self, other: TallyRegressor) -> TallyRegressor:
        """Learn all that another estimator has learned; that one stays as it is.

        Raises:
            ValueError: its columns are others.
        """
        self._check_like(other)
        if not self.__sklearn_is_fitted__():
            self._take_features(other)
            self.summary_, self.n_samples_seen_ = Summary.empty(), 0
        self.summary_ = merged(self.summary_, other.summary_)
        self.n_samples_seen_ += other.n_samples_seen_
        self._model = None
        return self

    def predict(self, X: object) -> Floats:
        """Return the predictions (n,) for rows (n, n_features)."""
        x = self._inputs(X)
        return np.asarray(self.model_.rule.answer(x)["res"], float)

    @property
    def coef_(self) -> Floats:
        """The coefficients (n_features,)."""
        found = np.zeros(self.n_features_in_)
        found[[attribute.index for attribute in self.model_.inputs]] = self._rule().coefficients
        return found

    @property
    def intercept_(self) -> float:
        """The prediction where all inputs are 0."""
        return self._rule().intercept

    def _rule(self) -> Linear:
        rule = self.model_.rule
        if isinstance(rule, Sized):
            return rule.largest
        assert isinstance(rule, Linear), "no other rule is a regression's"
        return rule

    def _checked(self, X: object, y: object, *, reset: bool, fewest: int = 1) -> Rows:
        """Return rows with their target as the last attribute."""
        x, aims = validate_data(
            self,
            X,
            y,
            reset=reset,
            dtype=np.float64,
            y_numeric=True,
            ensure_all_finite="allow-nan",
            ensure_min_samples=fewest,
        )
        names = (*self._names(), self._target())
        values = np.column_stack([x, np.asarray(aims, float)])
        return Rows(names, CONTINUOUS * len(names), (None,) * len(names), values)

    def _change(self, rows: Rows, sign: int) -> None:
        with as_value_error():
            self.summary_ = changed(self.summary_, rows, sign)
        self.n_samples_seen_ += sign * len(rows.values)
        self._model = None

    def _statistics(self) -> tuple[Statistics, tuple[int, ...]]:
        return Statistics(self.summary_), (self.n_features_in_,)
