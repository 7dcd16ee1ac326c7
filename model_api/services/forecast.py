"""From a loaded version to the JSON that the client gets."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from model_api.live import Loaded
from tally.calendar import Frequency, following
from tally.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Question:
    """What a forecast depends on besides the version."""

    steps: int
    levels: tuple[float, ...] = ()
    timestamps: bool = False
    include_version: bool = False


def answer(loaded: Loaded, question: Question) -> bytes:
    """Return the body of a forecast answer; a pure function of version and question.

    Raises:
        InvalidInput: timestamps are asked of a fit that had none.
        FitFailed: the forecast is out of the range of float64.
    """
    manifest = loaded.manifest
    body: dict[str, object] = {}
    if question.include_version:
        body["version"] = manifest.version
    forecast = loaded.model.forecast(question.steps, question.levels)
    body["data"] = forecast.mean.tolist()
    if question.levels:
        body["lower"] = {f"{level:g}": forecast.lower[level].tolist() for level in question.levels}
        body["upper"] = {f"{level:g}": forecast.upper[level].tolist() for level in question.levels}
    if question.timestamps:
        if not manifest.frequency:
            raise InvalidInput(
                "timestamps",
                f"version {manifest.version} was fitted without `timestamps` or `start` and "
                "`frequency`, so its forecasts have no dates",
            )
        body["timestamps"] = following(
            manifest.start, Frequency.parse(manifest.frequency), manifest.values, question.steps
        )
    return msgspec.json.encode(body)
