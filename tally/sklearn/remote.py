"""Models of a project on a server, with scikit-learn's conventions."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from tally.client.frames.arrow import has_arrow
from tally.client.models.blocking import Model
from tally.client.results.models import Coefficients, ModelInfo
from tally.client.results.predictions import Predictions
from tally.errors import InvalidInput
from tally.sklearn import decisions

Floats = NDArray[np.float64]

_OF_TWO = frozenset({"lda", "lsvm"})
_BY_CLASS = frozenset({"mlda", "mqda"})
_CLASSIFIERS = _OF_TWO | _BY_CLASS | {"bayes"}
_SINGLE = "prob1"


class _Remote(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted model that a server asks; it cannot be fitted here.

    Args:
        model: of a project.
    """

    _info: ModelInfo | None = None

    def __init__(self, model: Model) -> None:
        self.model = model

    def fit(self, X: object, y: object = None) -> NoReturn:
        """Refuse: rows given here would be learned by nobody.

        Raises:
            NotImplementedError: always; `sklearn.frozen.FrozenEstimator(self).fit` does nothing.
        """
        raise NotImplementedError(
            f"{self!r} is fitted on the server: have its project learn rows, and build it again"
        )

    @property
    def info_(self) -> ModelInfo:
        """What the model is, in the version that answered last."""
        if self._info is None:
            self._info = self.model.info()
        return self._info

    @property
    def n_features_in_(self) -> int:
        """How many inputs it has."""
        return len(self.info_.inputs)

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """What they are called, in the order in which columns without names are taken."""
        return np.array([each.name for each in self.info_.inputs], object)

    def _predicted(self, X: object) -> Predictions:
        found = self.model.predict(self._sent(X))
        if self._info is not None and found.version != self._info.version:
            self._info = None  # it was built again meanwhile
        return found

    def _sent(self, X: Any) -> object:
        """Return rows in a form that the client sends.

        Raises:
            ValueError: columns are missing, or there are more or less than inputs.
        """
        names = self.feature_names_in_.tolist()
        if hasattr(X, "columns"):
            if missing := sorted(set(names) - set(map(str, X.columns))):
                raise ValueError(f"X has no column {missing[0]!r}, of which {self!r} predicts")
            return X
        x = np.asarray(X, float)
        if x.ndim != 2 or x.shape[1] != len(names):
            raise ValueError(
                f"X has the shape {x.shape}, but {type(self).__name__} is expecting "
                f"{len(names)} features as input"
            )
        columns = dict(zip(names, x.T, strict=True))
        return import_module("pyarrow").table(columns) if has_arrow() else columns

    def _coefficients(self) -> Coefficients:
        found = self.info_.coefficients
        if found is None:
            raise AttributeError(f"a model of {self.info_.type} has no coefficients")
        return found

    def __sklearn_is_fitted__(self) -> bool:
        return True


class RemoteRegressor(RegressorMixin, _Remote):  # type: ignore[misc]  # as above
    """A regression of a project on a server, already fitted.

    `sklearn.frozen.FrozenEstimator` makes it part of pipelines.

    Attributes:
        coef_, intercept_: of the version that answered last.
        info_: with standard errors, intervals and what else the model tells of itself.
        n_features_in_, feature_names_in_: its inputs.
    """

    def predict(self, X: object) -> Floats:
        """Return the predictions (n,) for rows: a frame with the inputs, or (n, n_features)."""
        return np.array(self._predicted(X).numbers())

    @property
    def coef_(self) -> Floats:
        """The coefficients (n_features,)."""
        return self._last()[: self.n_features_in_]

    @property
    def intercept_(self) -> float:
        """The prediction where all inputs are 0."""
        if len(found := self._last()) > self.n_features_in_:
            return float(found[-1])
        return -self.info_.number("svmGamma")

    def _last(self) -> Floats:
        """Return coefficients, of several sizes those of the largest, and maybe an intercept."""
        found = self._coefficients()
        sizes = [name for name in found.columns if name.isdigit()]
        return np.array(found.columns[sizes[-1] if sizes else "coefficient"])


def _decides(self: RemoteClassifier) -> bool:
    return self.info_.type != "bayes"


def _estimates(self: RemoteClassifier) -> bool:
    info = self.info_
    return info.type != "lsvm" and (info.type != "bayes" or _SINGLE in info.answers)


class RemoteClassifier(ClassifierMixin, _Remote):  # type: ignore[misc]  # as above
    """A classification of a project on a server, already fitted; see `RemoteRegressor`.

    Attributes:
        classes_: 0 and 1 of one binary target; else the names of the classes.
        coef_, intercept_: of `decision_function`; `mqda` and `bayes` have none.
        info_: what the model tells of itself.
        n_features_in_, feature_names_in_: its inputs.
    """

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels."""
        info = self.info_
        if info.type in _OF_TWO or _SINGLE in info.answers:
            return np.array([0, 1])
        if info.type in _BY_CLASS:
            return np.array(info.scores)
        return np.array(info.tables["priors"]["class"])

    def predict(self, X: object) -> NDArray[Any]:
        """Return the labels (n,) of rows: a frame with the inputs, or (n, n_features)."""
        return np.array(self._predicted(X).result)

    @available_if(_decides)  # type: ignore[untyped-decorator]
    def decision_function(self, X: object) -> Floats:
        """Return (n,) for two classes, above 0 for the second; (n, n_classes) for more."""
        return decisions.function(self._scores(X))

    @available_if(_estimates)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: object) -> Floats:
        """Return the posterior of each class (n, n_classes)."""
        if self.info_.type == "bayes":
            ones = np.array(self._predicted(X).numbers(_SINGLE))
            return np.column_stack([1 - ones, ones])
        return decisions.probabilities(self._scores(X))

    @property
    def coef_(self) -> Floats:
        """The coefficients of `decision_function`."""
        columns = self._coefficients().columns
        found = np.array([column[: self.n_features_in_] for column in columns.values()])
        return found[1:] - found[:1] if len(found) == 2 else found

    @property
    def intercept_(self) -> Floats:
        """What `decision_function` is where all inputs are 0."""
        self._coefficients()
        at_zero: Floats = self.decision_function(np.zeros((1, self.n_features_in_)))
        return at_zero.reshape(-1)

    def _scores(self, X: object) -> Floats:
        """Return scores by class (n, k); see `decisions.scores`."""
        told, info = self._predicted(X), self.info_
        if info.type in _OF_TWO:
            apart = np.array(told.numbers("resZ"))
            if info.type == "lda":
                apart -= np.array(told.numbers("z0"))
            return np.column_stack([np.zeros(len(apart)), apart])
        return np.column_stack([told.numbers(str(name)) for name in self.classes_])


def estimator_of(model: Model) -> RemoteRegressor | RemoteClassifier:
    """Return a model as an estimator.

    Raises:
        UnknownModel: there is no such model.
        InvalidInput: it does not predict.
    """
    info = model.info()
    if not info.answers:
        raise InvalidInput("model", f"{info.id}: a model of {info.type} does not predict")
    kind = RemoteClassifier if info.type in _CLASSIFIERS else RemoteRegressor
    made: RemoteRegressor | RemoteClassifier = kind(model)
    return made
