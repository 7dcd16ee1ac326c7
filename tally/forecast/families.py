"""The table of families, readable without numpy: the broker checks options against it.

A new family is one module with `fit` and `restore` (see `base.Fitter`) and one line here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from tally.errors import AlgorithmUnavailable, InvalidInput

OptionValue = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a family.

    Attributes:
        default: also decides the type that is accepted (an int where a float is wanted is fine).
        doc: one line for `--help`, the API docs and errors.
        low, high: inclusive bounds of a number.
        choices: the allowed values of a string.
    """

    default: OptionValue
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One line of the table.

    Attributes:
        name: what users write as `algorithm`.
        module: where its `fit` and `restore` are.
        doc: one line that says what it is and when to use it.
        options: by name.
        extra: the optional dependency group of the package that it needs, or None.
        probe: the import name that tells whether the extra is installed.
        automatic: whether `auto` considers it.
        longest_period: `auto` leaves it out for longer seasons, where it is slow or poor.
    """

    name: str
    module: str
    doc: str
    options: Mapping[str, Option] = field(default_factory=dict)
    extra: str | None = None
    probe: str | None = None
    automatic: bool = False
    longest_period: int = 10**9

    @property
    def installed(self) -> bool:
        """Tell whether this process could fit and load this family."""
        return self.probe is None or find_spec(self.probe) is not None

    def require(self) -> None:
        """Raise `AlgorithmUnavailable` with the line that installs what is missing."""
        if not self.installed:
            raise AlgorithmUnavailable(
                "algorithm",
                f"{self.name!r} needs an optional package; install it with: "
                f"pip install 'tally[{self.extra}]'",
            )


AUTO = "auto"
"""Not a family: the one of the automatic families with the smallest backtest error."""

DEFAULT = "harmonic_ar"

FAMILIES: Mapping[str, Family] = {
    line.name: line
    for line in (
        Family(
            "harmonic_ar",
            "tally.forecast.harmonic_ar",
            "Trend, Fourier pairs of the season and autoregressive residuals; fast, the default.",
            {
                "pairs": Option(4, "Fourier pairs of the season", 0, 50),
                "ar_order": Option(7, "order of the residuals' autoregression", 0, 50),
                "trend": Option(True, "whether to fit a linear trend"),
            },
            automatic=True,
        ),
        Family(
            "seasonal_naive",
            "tally.forecast.seasonal_naive",
            "The value of one season ago: the forecast to beat.",
            automatic=True,
        ),
        Family(
            "ets",
            "tally.forecast.statsforecast_ets",
            "Exponential smoothing with additive components, their form chosen by AICc.",
            {
                "trend": Option(
                    "auto", "form of the trend", choices=("auto", "none", "additive", "damped")
                ),
                "season": Option(
                    "auto", "form of the season", choices=("auto", "none", "additive")
                ),
            },
            extra="statsforecast",
            probe="statsforecast",
            automatic=True,
            longest_period=24,
        ),
        Family(
            "theta",
            "tally.forecast.statsforecast_theta",
            "The theta method: the trend halved, and smoothing.",
            {
                "model": Option(
                    "auto",
                    "which theta model",
                    choices=("auto", "STM", "OTM", "DSTM", "DOTM"),
                )
            },
            extra="statsforecast",
            probe="statsforecast",
            automatic=True,
            longest_period=24,
        ),
        Family(
            "mstl",
            "tally.forecast.statsforecast_mstl",
            "Season and trend by LOESS; the trend continued by exponential smoothing.",
            extra="statsforecast",
            probe="statsforecast",
        ),
        Family(
            "arima",
            "tally.forecast.arima",
            "ARIMA, by default (7,0,1), on seasonal differences.",
            {
                "p": Option(7, "autoregressive order", 0, 30),
                "d": Option(0, "differences", 0, 2),
                "q": Option(1, "moving average order", 0, 30),
                "seasonal_difference": Option(True, "whether to difference by one season first"),
            },
            extra="statsmodels",
            probe="statsmodels",
        ),
        Family(
            "prophet",
            "tally.forecast.prophet_model",
            "Prophet: piecewise trend and seasons.",
            {
                "growth": Option("linear", "form of the trend", choices=("linear", "flat")),
                "changepoint_prior_scale": Option(0.05, "how freely the trend bends", 1e-4, 10),
                "fourier_order": Option(10, "Fourier pairs of the season", 1, 50),
            },
            extra="prophet",
            probe="prophet",
        ),
    )
}


def family(name: str) -> Family:
    """Return a line of the table.

    Raises:
        InvalidInput: there is none of that name.
    """
    if name not in FAMILIES:
        known = ", ".join([AUTO, *FAMILIES])
        raise InvalidInput("algorithm", f"{name!r} is not one of {known}")
    return FAMILIES[name]


def defaults(name: str) -> dict[str, OptionValue]:
    """Return every option of a family with its default."""
    return {option: spec.default for option, spec in family(name).options.items()}


def check_options(name: str, given: Mapping[str, object]) -> dict[str, OptionValue]:
    """Return all options of a family, those given checked, the others at their defaults.

    Args:
        name: of the family, or "auto", which has no options.
        given: as they came from JSON.

    Raises:
        InvalidInput: an option is unknown, of the wrong type or out of bounds.

    Example:
        >>> check_options("harmonic_ar", {"pairs": 2})
        {'pairs': 2, 'ar_order': 7, 'trend': True}
    """
    specs: Mapping[str, Option] = {} if name == AUTO else family(name).options
    for option in given:
        if option not in specs:
            known = ", ".join(specs) or "none"
            raise InvalidInput(f"options.{option}", f"{name!r} has no such option; it has: {known}")
    return {
        option: _checked(f"options.{option}", given.get(option, spec.default), spec)
        for option, spec in specs.items()
    }


def _checked(field: str, value: object, spec: Option) -> OptionValue:
    if isinstance(spec.default, bool):
        if not isinstance(value, bool):
            raise InvalidInput(field, f"{value!r} is not true or false")
        return value
    if isinstance(spec.default, str):
        if not isinstance(value, str) or value not in spec.choices:
            raise InvalidInput(field, f"{value!r} is not one of {', '.join(spec.choices)}")
        return value
    whole = isinstance(spec.default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise InvalidInput(field, f"{value!r} is not a {'whole ' if whole else ''}number")
    assert isinstance(value, int | float)
    low = -math.inf if spec.low is None else spec.low
    high = math.inf if spec.high is None else spec.high
    if not low <= value <= high:
        raise InvalidInput(field, f"{value} is not between {low:g} and {high:g}")
    return value if whole else float(value)
