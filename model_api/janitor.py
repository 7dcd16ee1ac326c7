"""Retires old versions, forgets old fits, and deletes bytes once nobody can need them."""

from __future__ import annotations

import structlog

from tally.clock import Clock
from tally.errors import StoreUnavailable
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.ledger.records import Version

_log = structlog.get_logger()


class Janitor:
    """The housekeeping of one fit worker; several may run side by side.

    Args:
        ledger: what is kept in order.
        clock: ours; a grace is counted from when this process saw the version retired.
        every_s: how often it looks.
        keep_versions, keep_fits: of each model.
        grace_s: how long retired bytes stay, longer than any read takes.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        *,
        every_s: float,
        keep_versions: int,
        keep_fits: int,
        grace_s: float,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._every_s = every_s
        self._keep_versions = keep_versions
        self._keep_fits = keep_fits
        self._grace_s = grace_s
        self._retired: dict[tuple[ModelUuid, int], float] = {}

    async def run(self) -> None:
        """Tidy until cancelled."""
        while True:
            try:
                await self.tidy()
            except StoreUnavailable as error:
                _log.warning("tidying put off", reason=str(error))
            await self._clock.sleep(self._every_s)

    async def tidy(self) -> None:
        """Look at every model once."""
        after = ""
        while page := await self._ledger.names.page(after):
            for _, name in page:
                await self._tidy(name.model, self._keep_versions, self._keep_fits)
            after = page[-1][0]
        for model, _ in await self._ledger.versions.deleted():
            await self._tidy(model, 0, 0)
            versions = await self._ledger.versions.history(model)
            if not versions and not await self._ledger.fits.newest(model):
                await self._ledger.versions.forget_model(model)

    async def _tidy(self, model: ModelUuid, keep_versions: int, keep_fits: int) -> None:
        for version in await self._ledger.versions.retire(model, keep_versions):
            if self._grace_over(model, version):
                await self._ledger.versions.remove(model, version)
                del self._retired[(model, version.version)]
        await self._ledger.versions.prune_fits(model, keep_fits)

    def _grace_over(self, model: ModelUuid, version: Version) -> bool:
        now = self._clock.monotonic()
        since = self._retired.setdefault((model, version.version), now)
        return now - since >= self._grace_s
