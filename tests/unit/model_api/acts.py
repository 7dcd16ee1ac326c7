"""A store with troubles, and what a fit worker does, in few words."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import numpy as np

from tally.clock import ManualClock
from tally.codec.binary import encode
from tally.codec.series import pack
from tally.errors import StoreUnavailable
from tally.forecast.families import DEFAULT
from tally.forecast.fitting import fit_series
from tally.forecast.scores import Backtest, Scores
from tally.ids import BlobId, ModelUuid
from tally.ledger import Ledger
from tally.ledger.attempts import Claim, Fitted
from tally.ledger.records import Fit, FitRequest
from tally.store.base import Blob, Check, Row, Token, Write
from tally.store.sqlite import SqliteStore

TRIES = 3
_NOISE = np.random.default_rng(1).normal(0, 0.1, 96)
SERIES = [float(value) for value in np.sin(np.arange(96) * np.pi / 6) + _NOISE]


class Troubled(SqliteStore):
    """A store that can be away, and whose blobs can be unreadable or slow to come."""

    away = False
    bytes_away = False
    reads = 0
    refused = 0

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.broken: dict[BlobId, bytes | Exception] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    def _check(self) -> None:
        if self.away:
            self.refused += 1
            raise StoreUnavailable("the store is away")

    async def get(self, partition: str, key: str, *, fresh: bool = False) -> Row | None:
        self._check()
        return await super().get(partition, key, fresh=fresh)

    async def scan(
        self,
        partition: str,
        prefix: str = "",
        *,
        after: str = "",
        limit: int = 1000,
        fresh: bool = False,
    ) -> Sequence[Row]:
        self._check()
        return await super().scan(partition, prefix, after=after, limit=limit, fresh=fresh)

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        self._check()
        return await super().commit(partition, writes, checks)

    def _check_bytes(self) -> None:
        if self.bytes_away:
            raise StoreUnavailable("the bytes are away")

    async def put_blob(self, blob: BlobId, data: bytes) -> Blob:
        self._check_bytes()
        return await super().put_blob(blob, data)

    async def get_blob(self, blob: Blob) -> bytes:
        self.reads += 1
        await self.gate.wait()
        self._check()
        self._check_bytes()
        broken = self.broken.get(blob.id)
        if isinstance(broken, Exception):
            raise broken
        return broken if broken is not None else await super().get_blob(blob)


async def accept(ledger: Ledger, name: str = "m", **changes: object) -> Fit:
    given: dict[str, object] = {
        "algorithm": DEFAULT,
        "options": {},
        "values": len(SERIES),
        "period": 12,
    }
    request = FitRequest(**(given | changes))  # type: ignore[arg-type]
    return await ledger.fits.accept(name, request, pack(SERIES), who="ann", request_id="r1")


async def claim(ledger: Ledger, fit: Fit, worker: str = "w") -> Claim:
    claimed = await ledger.fits.claim(fit.id, worker, max_tries=TRIES)
    assert claimed is not None
    return claimed


async def store(ledger: Ledger, claimed: Claim, level: float = 0.0) -> Fit:
    """Store a real model whose forecasts lie around `level`."""
    values = np.asarray(SERIES) + level
    model = fit_series(values, algorithm="seasonal_naive", period=12).model
    blob = await ledger.store.put_blob(claimed.blob, encode(model.state()))
    backtest = Backtest(Scores(mase=1.0), Scores(mase=1.0), None, 1, 1)
    fitted = Fitted(blob, "seasonal_naive", {}, 12, 0.1, backtest)
    return await ledger.fits.store(claimed, fitted)


async def publish(ledger: Ledger, name: str = "m", level: float = 0.0, **changes: object) -> Fit:
    """Accept a fit and take it to its publication."""
    fit = await accept(ledger, name, **changes)
    await store(ledger, await claim(ledger, fit), level)
    return await ledger.fits.publish(fit.id)


async def blob_of(ledger: Ledger, model: ModelUuid, version: int) -> BlobId:
    return (await ledger.versions.get(model, version)).blob.id


async def until(condition: Callable[[], bool], what: str) -> None:
    """Return once a condition holds; other tasks go on meanwhile."""

    async def holds() -> bool:
        return condition()

    await eventually(holds, what)


async def until_later(
    clock: ManualClock, step_s: float, condition: Callable[[], bool], what: str
) -> None:
    """Return once a condition holds; time goes on meanwhile, step by step."""

    async def holds() -> bool:
        await clock.advance(step_s)
        return condition()

    await eventually(holds, what)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return once a condition that has to be asked for holds."""
    end = time.monotonic() + 20
    while not await condition():
        assert time.monotonic() < end, f"never: {what}"
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def running(*loops: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run loops beside a test; what ends one of them fails the test."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(loop)) for loop in loops]
        yield
        for task in tasks:
            task.cancel()


async def _run(loop: Callable[[], Awaitable[None]]) -> None:
    await loop()
