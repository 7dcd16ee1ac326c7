"""Retires old versions, forgets old fits, and deletes bytes once nobody can need them."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from tally.announce import withdraw
from tally.clock import Clock
from tally.coordination.base import Coordinator
from tally.errors import StoreUnavailable, TallyError
from tally.ids import ModelUuid
from tally.ledger import Ledger

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of the past stays.

    Attributes:
        versions, fits: of each model.
        grace_s: how long retired bytes stay, longer than any read takes.
    """

    versions: int
    fits: int
    grace_s: float


class Janitor:
    """The housekeeping of one fit worker; several may run side by side.

    Args:
        ledger: what is kept in order.
        coordinator: where deleted models may still be announced.
        clock: ours; a grace is counted from when this process saw the version retired.
        keep: how much stays.
        every_s: how often it looks.
    """

    def __init__(
        self,
        ledger: Ledger,
        coordinator: Coordinator,
        clock: Clock,
        keep: Keep,
        *,
        every_s: float,
    ) -> None:
        self._ledger = ledger
        self._coordinator = coordinator
        self._clock = clock
        self._keep = keep
        self._every_s = every_s
        self._retired: dict[ModelUuid, dict[int, float]] = {}

    async def run(self) -> None:
        """Tidy until cancelled."""
        while True:
            try:
                await self.tidy()
            except TallyError as error:
                _log.warning("tidying put off", code=error.code, reason=str(error))
            await self._clock.sleep(self._every_s)

    async def tidy(self) -> None:
        """Look at every model once, those that were deleted included."""
        seen: set[ModelUuid] = set()
        after = ""
        while page := await self._ledger.names.page(after):
            for name, record in page:
                seen.add(record.model)
                await self._tidy(record.model, name, deleted=False)
            after = page[-1][0]
        for model, name in await self._ledger.versions.deleted():
            seen.add(model)
            await self._tidy(model, name, deleted=True)
        for gone in self._retired.keys() - seen:
            del self._retired[gone]

    async def _tidy(self, model: ModelUuid, name: str, *, deleted: bool) -> None:
        versions = self._ledger.versions
        try:
            if deleted and not await self._finished(model, name):
                return
            await self._retire(model, 0 if deleted else self._keep.versions)
            await versions.prune_fits(model, 0 if deleted else self._keep.fits)
            if deleted and not await self._left_of(model):
                await withdraw(self._coordinator, model, name)
                await versions.forget_model(model)
        except StoreUnavailable:
            raise
        except TallyError as error:
            # One model; the others are tidied all the same.
            _log.error("model not tidied", model=name, code=error.code, reason=str(error))

    async def _finished(self, model: ModelUuid, name: str) -> bool:
        """Free the name of a deleted model; false if the deletion never came to the head.

        Then its caller was told that it failed, and the model lives.
        """
        head = await self._ledger.versions.head(model)
        if head is None or not head.deleted:
            return False
        await self._ledger.names.release(name, model)
        return True

    async def _left_of(self, model: ModelUuid) -> bool:
        versions = await self._ledger.versions.history(model)
        return bool(versions or await self._ledger.fits.newest(model, limit=1))

    async def _retire(self, model: ModelUuid, keep: int) -> None:
        """Retire what is too old, and remove what was retired a grace ago."""
        now = self._clock.monotonic()
        known = self._retired.get(model, {})
        retired = await self._ledger.versions.retire(model, keep)
        since = {version.version: known.get(version.version, now) for version in retired}
        for version in retired:
            if now - since[version.version] >= self._keep.grace_s:
                await self._ledger.versions.remove(model, version)
                del since[version.version]
        if since:
            self._retired[model] = since
        else:
            self._retired.pop(model, None)
