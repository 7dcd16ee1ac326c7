"""What the estimators that learn in this process have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.errors import FitFailed, InvalidInput
from tally.models.attributes import Chosen
from tally.models.base import Floats, Statistics
from tally.models.families import FAMILIES, Family
from tally.models.fitting import fit
from tally.models.model import Model
from tally.wire.java_text import java_text

E = TypeVar("E", bound="Learning")

Parameters = Mapping[str, str | int | float | bool]
Labels = NDArray[Any]


class Learning(BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """Learns from statistics; the model is made of them when it is first needed.

    Args:
        algo: name of a family.
        parameters: of the family.
        svdreduce: leave out inputs that those before them determine.
    """

    _algos: tuple[str, ...] = ()
    _model: Model | None
    n_features_in_: int
    feature_names_in_: Labels
    n_samples_seen_: int

    def __init__(
        self, algo: str, parameters: Parameters | None = None, *, svdreduce: bool = False
    ) -> None:
        self.algo = algo
        self.parameters = parameters
        self.svdreduce = svdreduce

    @property
    def model_(self) -> Model:
        """The model, with all that it tells of itself.

        Raises:
            NotFittedError: nothing was learned.
            ValueError: what was learned does not allow such a model; says why.
        """
        check_is_fitted(self, "n_samples_seen_")
        if self._model is None:
            with as_value_error():
                self._model = self._made()
        return self._model

    def _made(self) -> Model:
        p = self.n_features_in_
        statistics, targets = self._statistics()
        given = {key: java_text(value) for key, value in (self.parameters or {}).items()}
        chosen = Chosen(tuple(range(p)), targets)
        return fit(self._family(), statistics, chosen, given, reduce=self.svdreduce)

    @abstractmethod
    def _statistics(self) -> tuple[Statistics, tuple[int, ...]]:
        """Return what the model is made from, and the indexes of its targets."""

    def _family(self) -> Family:
        """Return the family.

        Raises:
            ValueError: there is none of that name that this kind of estimator can be.
        """
        if self.algo not in self._algos:
            raise ValueError(f"algo={self.algo!r} is none of {', '.join(self._algos)}")
        return FAMILIES[self.algo]

    def _inputs(self, X: object) -> Floats:
        """Return the inputs of the model (n, p) in rows to be predicted, none missing."""
        check_is_fitted(self, "n_samples_seen_")
        given = {"dtype": np.float64, "ensure_all_finite": "allow-nan", "reset": False}
        x: Floats = validate_data(self, X, **given)
        model = self.model_
        if len(model.inputs) < x.shape[1]:
            x = x[:, [each.index for each in model.inputs]]
        return model.filler.means(x) if np.isnan(x).any() else x

    def _names(self) -> tuple[str, ...]:
        """Return what the inputs are called."""
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return tuple(f"x{k}" for k in range(self.n_features_in_))
        return tuple(map(str, names))

    def _target(self) -> str:
        """Return what the target is called: nothing that an input is called."""
        name, taken = "y", set(self._names())
        while name in taken:
            name += "_"
        return name

    def _check_like(self, other: object) -> None:
        """Refuse an estimator whose statistics are of something else.

        Raises:
            ValueError: it is.
        """
        if type(other) is not type(self):
            raise ValueError(f"a {type(other).__name__} cannot be merged into {self!r}")
        check_is_fitted(other, "n_samples_seen_")
        assert isinstance(other, Learning)
        if self.__sklearn_is_fitted__() and other._names() != self._names():
            raise ValueError(f"inputs {other._names()} are not {self._names()}")

    def _take_features(self, other: Learning) -> None:
        self.n_features_in_ = other.n_features_in_
        if hasattr(other, "feature_names_in_"):
            self.feature_names_in_ = other.feature_names_in_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_samples_seen_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def changed(summary: Summary, rows: Rows, sign: int) -> Summary:
    """Return statistics with rows learned, or forgotten with a sign of -1."""
    draft = summary.draft()
    if sign > 0:
        draft.add(rows)
    else:
        draft.subtract(rows)
    return draft.done()


def merged(*summaries: Summary) -> Summary:
    """Return the statistics of the rows of all."""
    draft = Summary.empty().draft()
    for summary in summaries:
        draft.merge(summary)
    return draft.done()


@contextmanager
def as_value_error() -> Iterator[None]:
    """Raise what cannot be learned or fitted as scikit-learn does."""
    try:
        yield
    except (FitFailed, InvalidInput) as error:
        raise ValueError(str(error)) from error
