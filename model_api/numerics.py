"""What the computing process computes; importing it imports numpy and the families."""

from __future__ import annotations

import msgspec
import numpy as np

from model_api.jobs import Job, Reply
from tally.codec.binary import decode, encode
from tally.errors import FitFailed, InvalidInput
from tally.forecast.fitting import Progress, fit_series, restore
from tally.forecast.period import CALENDAR


def fit(job: Job, series: bytes, progress: Progress) -> tuple[Reply, bytes]:
    """Return the answer to a fit job, and the encoded state.

    Raises:
        FitFailed: the series cannot be fitted; says why.
    """
    values = np.frombuffer(series, "<f8").astype(np.float64)
    try:
        fitted = fit_series(
            values,
            algorithm=job.algorithm,
            options=job.options,
            period=job.period,
            natural=CALENDAR if job.natural is None else job.natural,
            progress=progress,
        )
    except InvalidInput as error:
        raise FitFailed(str(error)) from error
    reply = Reply(
        kind="done",
        algorithm=fitted.algorithm,
        options=dict(fitted.options),
        period=fitted.period,
        backtest=msgspec.Raw(msgspec.json.encode(fitted.backtest)),
    )
    return reply, encode(fitted.model.state())


def verify(binary: bytes) -> None:
    """Raise unless the stored bytes are a model that forecasts."""
    forecast = restore(decode(binary)).forecast(1, (80.0,))
    if not np.all(np.isfinite(forecast.mean)):
        raise FitFailed("the fitted model forecasts a number that is not finite")
