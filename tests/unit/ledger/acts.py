"""What a fit worker does, in few words."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tally.codec.series import pack
from tally.forecast.scores import Backtest, Scores
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.ledger.attempts import Claim, Fitted
from tally.ledger.records import Fit, FitRequest

TRIES = 3
SERIES = pack([1.0, 2.0, 3.0])


def request(**changes: object) -> FitRequest:
    given: dict[str, object] = {"algorithm": "harmonic_ar", "options": {}, "values": 3}
    return FitRequest(**(given | changes))  # type: ignore[arg-type]


async def accept(ledger: Ledger, name: str = "m", **changes: object) -> Fit:
    return await ledger.fits.accept(name, request(**changes), SERIES, who="ann")


async def claim(ledger: Ledger, fit: Fit, worker: str = "w") -> Claim:
    claimed = await ledger.fits.claim(fit.id, worker, max_tries=TRIES)
    assert claimed is not None
    return claimed


async def store(ledger: Ledger, claimed: Claim, mase: float = 1.0) -> Fit:
    blob = await ledger.store.put_blob(claimed.blob, b"model")
    backtest = Backtest(Scores(mase=mase), Scores(mase=1.0), None, 1, 1)
    fitted = Fitted(blob, "harmonic_ar", {}, 1, 0.1, backtest)
    return await ledger.fits.store(claimed, fitted)


async def publish(ledger: Ledger, name: str = "m", mase: float = 1.0, **changes: object) -> Fit:
    """Accept a fit and take it to its end."""
    fit = await accept(ledger, name, **changes)
    await store(ledger, await claim(ledger, fit), mase)
    return await ledger.fits.publish(fit.id)


async def published(ledger: Ledger, count: int, name: str = "m") -> ModelUuid:
    """Publish so many versions of a model."""
    for _ in range(count):
        fit = await publish(ledger, name)
    return fit.model


def back_up(store: Path, to: Path) -> Path:
    """Copy a store as an operator would, who restores the copy later."""
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)
    return to
