"""One call from a series to a fitted, backtested model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import cast

import numpy as np

from tally.errors import CorruptState, FitFailed
from tally.forecast.backtest import backtest
from tally.forecast.base import Fitter, Model, OptionValue, State, Vector
from tally.forecast.families import AUTO, FAMILIES, check_options, defaults, family
from tally.forecast.period import CALENDAR, find_period
from tally.forecast.scores import Backtest

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model with what is known of how good it is.

    Attributes:
        algorithm: the family's name, also where `auto` chose it.
        options: all of the family's, with those that were not given.
        period: given or found.
    """

    model: Model
    algorithm: str
    options: Mapping[str, OptionValue]
    period: int
    backtest: Backtest


def fit_series(
    values: Vector,
    *,
    algorithm: str,
    options: Mapping[str, OptionValue] | None = None,
    period: int | None = None,
    natural: Sequence[int] = CALENDAR,
    progress: Progress = lambda _fraction, _doing: None,
) -> Fitted:
    """Fit a series and backtest the fit.

    Args:
        values: (t,) finite, equally spaced in time, oldest first.
        algorithm: a family of `families.FAMILIES`, or "auto".
        options: of the family; the others keep their defaults.
        period: steps in a season; None: found from the series.
        natural: seasons to prefer when it is to be found.
        progress: told what is being done; may raise to stop the work.

    Raises:
        InvalidInput: the algorithm or an option is wrong.
        AlgorithmUnavailable: its package is not installed.
        FitFailed: the series cannot be fitted.

    Example:
        >>> fitted = fit_series(np.tile([1.0, 5.0, 3.0, 2.0], 10), algorithm="seasonal_naive")
        >>> fitted.period, fitted.model.forecast(3).mean.tolist()
        (4, [1.0, 5.0, 3.0])
    """
    if not np.all(np.isfinite(values)) or len(values) == 0:
        raise FitFailed("a series needs at least one value, and all of them finite")
    if period is None:
        progress(0.0, "looking for the season")
        period = find_period(values, natural)
    if algorithm == AUTO:
        return _choose(values, period, progress)
    checked = check_options(algorithm, options or {})
    family(algorithm).require()
    progress(0.1, f"backtesting {algorithm}")
    scores = _backtest(values, period, algorithm, checked)
    progress(0.8, f"fitting {algorithm}")
    model = load(algorithm).fit(values, period, checked)
    return Fitted(model, algorithm, checked, period, scores)


def load(name: str) -> Fitter:
    """Return the implementation of a family, imported at its first use."""
    return cast(Fitter, import_module(family(name).module))


def restore(state: State) -> Model:
    """Return the model whose state this is; no family needs its package for that.

    Raises:
        CorruptState: no family of this name, or not a state of it.
    """
    if state.family not in FAMILIES:
        raise CorruptState(f"no family is named {state.family!r}")
    return load(state.family).restore(state)


def _backtest(
    values: Vector, period: int, name: str, options: Mapping[str, OptionValue]
) -> Backtest:
    return backtest(values, period, lambda part: load(name).fit(part, period, options))


def _choose(values: Vector, period: int, progress: Progress) -> Fitted:
    """Fit the family with the smallest backtest error among those that are meant for `auto`.

    One that fitted the parts but cannot fit the whole makes way for the next.
    """
    entrants = [f for f in FAMILIES.values() if f.automatic and f.installed]
    entrants = [f for f in entrants if period <= f.longest_period]
    ranked: list[tuple[float, int, str, Backtest]] = []
    for place, entrant in enumerate(entrants):
        progress(0.1 + 0.7 * place / len(entrants), f"backtesting {entrant.name}")
        scores = _backtest(values, period, entrant.name, defaults(entrant.name))
        error = math.inf if scores.model.mae is None else scores.model.mae
        # With the place, so that a tie goes to the family that stands first in the table.
        ranked.append((error, place, entrant.name, scores))
    reasons = []
    for _, _, name, scores in sorted(ranked, key=lambda entry: entry[:2]):
        progress(0.8, f"fitting {name}")
        try:
            model = load(name).fit(values, period, defaults(name))
        except FitFailed as error:
            reasons.append(f"{name}: {error}")
        else:
            return Fitted(model, name, defaults(name), period, scores)
    raise FitFailed("no family could be fitted: " + "; ".join(reasons))
