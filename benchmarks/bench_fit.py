"""The shipped series, fitted by us and by statsmodels; the last year is the judge."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.machine import ROOT
from benchmarks.rows import Row, Spread
from benchmarks.service import running
from tally.forecast.base import Vector
from tally.forecast.families import defaults
from tally.forecast.fitting import fit_series, load

_PERIOD = 365
_ORDER = (7, 0, 1)
_OURS = "harmonic_ar"
_AGAINST = "statsmodels ARIMA(7,0,1) on the 365-differenced series"
_PAUSE_S = 1.0  # the fit worker starts its next processes meanwhile
_FASTER, _LESS_ERROR = 50.0, 0.25


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about fitting."""
    body = (ROOT / "dataset_simple").read_bytes()
    values = np.asarray(json.loads(body)["data"], float)
    through = await _through_http(body, 3 if quick else 10)
    try:
        arima = import_module("statsmodels.tsa.arima.model").ARIMA
    except ModuleNotFoundError:
        note = "statsmodels is not installed: pip install 'tally[statsmodels]'"
        names = ("fit", "fit with season search and backtest", "fit over HTTP", "error")
        return [Row(name=f"{name}, 3650 values", unit="s", against="", note=note) for name in names]
    options = defaults(_OURS)
    ours: list[float] = []
    whole: list[float] = []
    theirs: list[float] = []
    for _ in range(1 if quick else 5):
        # In turn, so that whatever else the machine does meets all of them.
        ours += _seconds(lambda: load(_OURS).fit(values, _PERIOD, options), 10)
        whole += _seconds(lambda: fit_series(values, algorithm=_OURS), 2)
        theirs += _seconds(lambda: _fit_arima(arima, values), 1)
    rows = [
        _faster("fit, 3650 values", ours, theirs, "", aimed=True),
        _faster(
            "fit with season search and backtest, 3650 values",
            whole,
            theirs,
            "Ours also finds the season and fits again for each origin of the backtest.",
        ),
        _faster(
            "fit over HTTP, 3650 values",
            through,
            theirs,
            "From the POST to the answer that it is stored, read back by a fresh process and "
            "served, asked once a second; statsmodels only fits.",
        ),
    ]
    return [*rows, _error(values, arima)]


def _faster(
    name: str, ours: list[float], theirs: list[float], note: str, *, aimed: bool = False
) -> Row:
    mine, other = Spread.of(ours), Spread.of(theirs)
    ratio = float(f"{other.median / mine.median:.3g}")
    return Row(
        name=name,
        unit="s",
        against=_AGAINST,
        ours=mine,
        theirs=other,
        value=ratio,
        value_unit="times as fast",
        aim=f"at least {_FASTER:g} times" if aimed else "for information",
        met=ratio >= _FASTER if aimed else None,
        note=note,
    )


def _error(values: Vector, arima: Any) -> Row:
    """Fit all but the last year, and forecast it."""
    known, future = values[:-_PERIOD], values[-_PERIOD:]
    ours = load(_OURS).fit(known, _PERIOD, defaults(_OURS)).forecast(_PERIOD).mean
    steps = _fit_arima(arima, known).forecast(_PERIOD)
    theirs = known[-_PERIOD:] + steps
    mine, other = (float(np.mean(np.abs(future - guess))) for guess in (ours, theirs))
    squared = [float(np.sqrt(np.mean((future - guess) ** 2))) for guess in (ours, theirs)]
    less = round(1 - mine / other, 3)
    return Row(
        name="mean absolute error on the last 365 of 3650 values",
        unit="degrees",
        against=_AGAINST,
        ours=Spread.of([mine]),
        theirs=Spread.of([other]),
        value=less,
        value_unit="less",
        aim=f"at least {_LESS_ERROR:g} less",
        met=less >= _LESS_ERROR,
        note=f"Root mean square error: {squared[0]:.3g} against {squared[1]:.3g} degrees, "
        f"{1 - squared[0] / squared[1]:.2f} less.",
    )


def _fit_arima(arima: Any, values: Vector) -> Any:
    return arima(values[_PERIOD:] - values[:-_PERIOD], order=_ORDER).fit()


def _seconds(call: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times


async def _through_http(body: bytes, repeats: int) -> list[float]:
    times = []
    async with running(workers=1) as service:
        for number in range(repeats + 1):
            await asyncio.sleep(_PAUSE_S)
            started = time.perf_counter()
            await service.fit(body)
            if number:  # the first one starts the child processes
                times.append(time.perf_counter() - started)
    return times
