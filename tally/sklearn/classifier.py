"""A classification that learns from statistics of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from tally.engine.rows import BINARY, CONTINUOUS, Rows
from tally.engine.summary import Summary
from tally.models.base import Floats, Statistics
from tally.sklearn import decisions
from tally.sklearn.learning import (
    Labels,
    Learning,
    Parameters,
    as_value_error,
    changed,
    merged,
)

_TWO_CLASSES = ("lda", "lsvm")
_NO_DECISION, _NO_PROBABILITY = ("bayes",), ("lsvm",)


def _decides(self: TallyClassifier) -> bool:
    return self.algo not in _NO_DECISION


def _estimates(self: TallyClassifier) -> bool:
    return self.algo not in _NO_PROBABILITY


class TallyClassifier(ClassifierMixin, Learning):  # type: ignore[misc]  # scikit-learn has no types
    """A classification by all columns, made of statistics of each class and not of rows.

    What it keeps does not grow with the rows; see `TallyRegressor`.

    Args:
        algo: `lda` or `lsvm` for two classes; `mlda`, `mqda` or `bayes` for two or more. `lda`
            takes both classes for equally likely, the others count them.
        parameters: of the algorithm by name.
        svdreduce: leave out inputs that those before them determine, rather than refuse them.

    Attributes:
        classes_: the labels, sorted.
        coef_, intercept_: of `decision_function`: (1, n_features) and (1,) for two classes,
            (n_classes, n_features) and (n_classes,) for more; `mqda` and `bayes` have none.
        model_: with what it tells of itself.
        summaries_: the statistics of each class.
        n_samples_seen_: rows learned.
        n_features_in_: columns.
        feature_names_in_: their names, where the rows had any.

    Example:
        >>> x, y = np.array([[0.0], [1.0], [5.0], [7.0]]), ["low", "low", "high", "high"]
        >>> TallyClassifier().fit(x, y).predict([[2.0], [6.0]])
        array(['low', 'high'], dtype='<U4')
    """

    _algos = ("lda", "lsvm", "mlda", "mqda", "bayes")
    summaries_: list[Summary]
    classes_: Labels

    def __init__(
        self, algo: str = "mlda", parameters: Parameters | None = None, *, svdreduce: bool = False
    ) -> None:
        super().__init__(algo, parameters, svdreduce=svdreduce)

    def fit(self, X: object, y: object) -> TallyClassifier:
        """Learn rows, and nothing else.

        Raises:
            ValueError: the rows cannot be learned, or allow no such model; says why.
        """
        self._family()
        x, labels = self._checked(X, y, reset=True)
        self._begin(np.unique(labels))
        self._change(x, labels, 1)
        _ = self.model_  # so that what cannot be fitted is told now
        return self

    def partial_fit(self, X: object, y: object, classes: object = None) -> TallyClassifier:
        """Learn more rows. The model is made when it is next needed.

        Args:
            X, y: rows and their labels.
            classes: all labels that there will ever be; needed with the first rows.
        """
        self._family()
        first = not self.__sklearn_is_fitted__()
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        x, labels = self._checked(X, y, reset=first)
        if first:
            self._begin(np.unique(np.asarray(classes)))
        elif classes is not None and not np.array_equal(
            np.unique(np.asarray(classes)), self.classes_
        ):
            raise ValueError(
                f"classes={classes!r} are not those of the first call, {self.classes_}"
            )
        self._change(x, labels, 1)
        return self

    def forget(self, X: object, y: object) -> TallyClassifier:
        """Take rows away as if they had never been learned.

        Raises:
            ValueError: more rows than were learned.
        """
        _ = self.__sklearn_is_fitted__() or self.model_  # raises
        self._change(*self._checked(X, y, reset=False), -1)
        return self

    def merge(self, other: TallyClassifier) -> TallyClassifier:
        """Learn all that another estimator has learned; that one stays as it is.

        Raises:
            ValueError: its columns or its classes are others.
        """
        self._check_like(other)
        if not self.__sklearn_is_fitted__():
            self._take_features(other)
            self._begin(other.classes_)
        if not np.array_equal(self.classes_, other.classes_):
            raise ValueError(f"classes {other.classes_} are not {self.classes_}")
        pairs = zip(self.summaries_, other.summaries_, strict=True)
        self.summaries_ = [merged(ours, theirs) for ours, theirs in pairs]
        self.n_samples_seen_ += other.n_samples_seen_
        self._model = None
        return self

    def predict(self, X: object) -> Labels:
        """Return the labels (n,) of rows (n, n_features)."""
        best = self._scores(X).argmax(axis=1)
        found: Labels = self.classes_[best]
        return found

    @available_if(_decides)  # type: ignore[untyped-decorator]
    def decision_function(self, X: object) -> Floats:
        """Return (n,) for two classes, above 0 for the second; (n, n_classes) for more."""
        return decisions.function(self._scores(X))

    @available_if(_estimates)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: object) -> Floats:
        """Return the posterior of each class (n, n_classes)."""
        return decisions.probabilities(self._scores(X))

    @available_if(_estimates)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: object) -> Floats:
        """Return the logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            found: Floats = np.log(self.predict_proba(X))
        return found

    @property
    def coef_(self) -> Floats:
        """The coefficients of `decision_function`."""
        return self._line()[0]

    @property
    def intercept_(self) -> Floats:
        """What `decision_function` is where all inputs are 0."""
        return self._line()[1]

    def _line(self) -> tuple[Floats, Floats]:
        found = decisions.line(self.model_.rule, self._places())
        if found is None:
            raise AttributeError(f"{self!r} has no coefficients")
        weights, levels = found
        every = np.zeros((len(weights), self.n_features_in_))
        every[:, [attribute.index for attribute in self.model_.inputs]] = weights
        return every, levels

    def _scores(self, X: object) -> Floats:
        x = self._inputs(X)
        return decisions.scores(self.model_.rule, x, self._places())

    def _places(self) -> tuple[str, ...]:
        """Return what the classes are called in the statistics."""
        target = self._target()
        return tuple(f"{target}={label}" for label in self.classes_)

    def _checked(self, X: object, y: object, *, reset: bool) -> tuple[Floats, Labels]:
        x, labels = validate_data(
            self, X, y, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        check_classification_targets(labels)
        return x, column_or_1d(labels)

    def _begin(self, classes: Labels) -> None:
        if len(classes) < 2:
            raise ValueError(f"y has {len(classes)} class, and at least 2 classes are needed")
        if len(classes) > 2 and self.algo in _TWO_CLASSES:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass. "
                f"algo={self.algo!r} tells 2 classes apart, y has {len(classes)}: choose 'mlda'"
            )
        self.classes_ = classes
        self.summaries_ = [Summary.empty() for _ in classes]
        self.n_samples_seen_ = 0

    def _change(self, x: Floats, labels: Labels, sign: int) -> None:
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"label {str(unknown[0])!r} of y is none of the classes {self.classes_}"
            )
        found = list(self.summaries_)
        with as_value_error():
            for place, label in enumerate(self.classes_):
                mine = x[labels == label]
                if len(mine):
                    found[place] = changed(found[place], self._of_class(mine, place), sign)
        self.summaries_ = found
        self.n_samples_seen_ += sign * len(x)
        self._model = None

    def _of_class(self, x: Floats, place: int) -> Rows:
        """Return rows of one class; of two classes with a flag that marks the second."""
        names, types = self._names(), CONTINUOUS * x.shape[1]
        if self.algo in _TWO_CLASSES:
            names, types = (*names, self._target()), types + BINARY
            x = np.column_stack([x, np.full(len(x), float(place))])
        return Rows(names, types, (None,) * len(names), x)

    def _statistics(self) -> tuple[Statistics, tuple[int, ...]]:
        whole = merged(*self.summaries_)
        if self.algo in _TWO_CLASSES:
            return Statistics(whole), (self.n_features_in_,)
        parts = dict(zip(self._places(), self.summaries_, strict=True))
        return Statistics(whole, parts, self._target()), ()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = self.algo not in _TWO_CLASSES
        return tags
