"""Calls into the optional libraries: their noise stays inside, their errors get a sentence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tally.errors import FitFailed


@contextmanager
def fitting(method: str, advice: str, *quiet: type[Warning]) -> Iterator[None]:
    """Turn whatever a library raises into `FitFailed`, and keep some of its warnings quiet.

    Only the library's own call belongs inside, not its import: a broken installation is no
    fault of the series.

    Args:
        method: what is being fitted, as the sentence begins.
        advice: what a user can change.
        quiet: warnings that the backtest answers better; others pass.

    Raises:
        FitFailed: the library raised.

    Example:
        >>> with fitting("theta", "try another model"):
        ...     raise ZeroDivisionError("float division")
        Traceback (most recent call last):
        tally.errors.FitFailed: theta cannot be fitted (float division); try another model
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for category in quiet:
            warnings.simplefilter("ignore", category)
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:
            # Optimisers, linear algebra and Stan raise of every kind, down to bare Exception.
            cause = str(error).strip().rstrip(".") or type(error).__name__
            raise FitFailed(f"{method} cannot be fitted ({cause}); {advice}") from error
