"""Reading fits, and what all of their moves have in common."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tally.clock import Clock
from tally.errors import NotFound
from tally.ids import FitId, ModelUuid, model_of
from tally.ledger.open_fits import OpenFits
from tally.ledger.records import (
    HEAD,
    Beat,
    Fit,
    FitState,
    Head,
    beat_key,
    fit_key,
    model_partition,
)
from tally.ledger.transact import Read, decode, read
from tally.store.base import Store, Token


@dataclass(frozen=True, slots=True)
class BeatSeen:
    """A heartbeat as somebody saw it: equal tokens mean that it has not moved in between."""

    token: Token
    beat: Beat


class FitRows:
    """The rows of fits.

    Args:
        store: where they are.
        clock: of whoever changes them.

    Attributes:
        open: the fits that have not ended.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.open = OpenFits(store)

    async def get(self, fit: FitId) -> Fit:
        """Return a fit.

        Raises:
            NotFound: there is none of that id.
        """
        row = await self._fit(fit, fresh=False)
        if row.record is None or row.record.state is FitState.ABANDONED:
            raise NotFound(f"there is no fit {fit!r}")
        return row.record

    async def find(self, fit: FitId) -> Fit | None:
        """Return a fit as the reconciler needs it: read fresh, None if it was never accepted."""
        return (await self._fit(fit, fresh=True)).record

    async def newest(
        self, model: ModelUuid, *, state: FitState | None = None, limit: int = 1000
    ) -> list[Fit]:
        """Return the newest fits of a model, newest first."""
        fits: list[Fit] = []
        after = ""
        partition = model_partition(model)
        while rows := await self._store.scan(partition, "fit/", after=after, limit=500):
            fits += [decode(row, Fit) for row in rows]
            after = rows[-1].key
        fits = [
            fit
            for fit in fits
            if fit.state is not FitState.ABANDONED and state in (None, fit.state)
        ]
        return sorted(fits, key=lambda fit: fit.sequence, reverse=True)[:limit]

    async def beat(self, fit: FitId) -> BeatSeen | None:
        """Return the heartbeat of a fit as it is now."""
        row = await read(self._store, model_partition(model_of(fit)), beat_key(fit), Beat)
        return BeatSeen(row.token, row.record) if row.record and row.token else None

    async def payload(self, fit: Fit) -> bytes:
        """Return the packed series of a fit."""
        return await self._store.get_blob(fit.payload.blob())

    async def _fit(self, fit: FitId, fresh: bool) -> Read[Fit]:
        partition = model_partition(model_of(fit))
        return await read(self._store, partition, fit_key(fit), Fit, fresh=fresh)

    async def _head(self, model: ModelUuid, fresh: bool) -> Read[Head]:
        return await read(self._store, model_partition(model), HEAD, Head, fresh=fresh)

    def _moved(self, fit: Fit, state: FitState, *, reason: str = "", **changes: object) -> Fit:
        return msgspec.structs.replace(
            fit, state=state, reason=reason, changed_at=self._now(), **changes
        )

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="milliseconds")
