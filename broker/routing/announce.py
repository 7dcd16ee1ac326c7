"""Puts heads into the coordinator whenever it lags behind the store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from tally.announce import ahead, announce_head, withdraw
from tally.coordination.base import Coordinator
from tally.errors import CorruptState, InvalidInput, NotFound, TallyError
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.routing.follow import Follower
from tally.wire.messages import Announcement

_AT_ONCE = 16
_log = structlog.get_logger()


class Announcer:
    """The reconciler of announcements; every broker runs one, and all may run at once.

    Args:
        ledger: what was decided.
        coordinator: where it is to be told.
        follower: tells what is announced now, and when the coordinator's history is a new one.
        every_s: how often all models are compared.
    """

    def __init__(
        self, ledger: Ledger, coordinator: Coordinator, follower: Follower, every_s: float
    ) -> None:
        self._ledger = ledger
        self._coordinator = coordinator
        self._follower = follower
        self._every_s = every_s
        self._doubtful = True

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            try:
                await self.compare()
            except TallyError as error:
                _log.warning("announcements not compared", reason=str(error))
            try:
                async with asyncio.timeout(self._every_s):
                    await self._follower.announced.wait()
            except TimeoutError:
                continue

    async def compare(self) -> None:
        """Announce every head that is newer than what is announced; withdraw deleted models."""
        if self._follower.announced.is_set():
            # The table remembers more than a new history holds, until all was compared with that.
            self._follower.announced.clear()
            self._doubtful = True
        doubtful = self._doubtful
        models: dict[str, ModelUuid] = {}
        after = ""
        while page := await self._ledger.names.page(after):
            found = {name: record.model for name, record in page}
            await self._tell_all(found, doubtful)
            models |= found
            after = page[-1][0]
        for name, known in self._follower.table.heads.items():
            if models.get(name) != known.model and await self._gone(name, known.model):
                await withdraw(self._coordinator, known.model, name)
                self._follower.forget(name, known.model)
        self._doubtful = False

    async def _tell_all(self, models: Mapping[str, ModelUuid], doubtful: bool) -> None:
        """Tell of many models, some at a time; the first outage ends it."""
        turns = asyncio.Semaphore(_AT_ONCE)
        outages: list[TallyError] = []

        async def tell(name: str, model: ModelUuid) -> None:
            async with turns:
                if outages:
                    return
                try:
                    await self.tell(name, model, doubtful=doubtful)
                except CorruptState as error:
                    # One model's row; the others are told all the same.
                    _log.error("head cannot be read", model=name, reason=str(error))
                except TallyError as error:
                    outages.append(error)

        async with asyncio.TaskGroup() as group:
            for name, model in models.items():
                group.create_task(tell(name, model))
        if outages:
            raise outages[0]

    async def tell(self, name: str, model: ModelUuid, *, doubtful: bool = False) -> None:
        """Announce the head of one model, if it is newer than what is announced.

        Args:
            name, model: which.
            doubtful: ask the coordinator what is announced, where else the table says it.
        """
        head = await self._ledger.versions.head(model)
        if head is None:
            return
        known = self._known(name, model)
        if known is not None and ahead(known, head):
            await self._outlive(known)
        elif known is not None and known.generation == head.generation and not doubtful:
            return
        if await announce_head(self._ledger.versions, self._coordinator, model):
            _log.info("announced", model=name, version=head.version, generation=head.generation)

    def _known(self, name: str, model: ModelUuid) -> Announcement | None:
        """Return the newest that was announced of a model, as far as we or the workers remember.

        The coordinator may have lost it, with its history.
        """
        table = self._follower.table
        known = table.heads.get(name)
        if known is not None and known.model != model:
            known = None
        loaded = [node.serving[model] for node in table.nodes.values() if model in node.serving]
        newest = max(loaded, key=lambda serving: serving.generation, default=None)
        if newest is None or (known is not None and known.generation >= newest.generation):
            return known
        return Announcement(newest.version, "", name, model, 0, newest.generation)

    async def _outlive(self, known: Announcement) -> None:
        lifted = await self._ledger.versions.outlive(
            known.model,
            generation=known.generation,
            moved_at=known.timestamp,
            last_version=max(known.version, known.last_version),
        )
        if lifted is not None and lifted.generation == known.generation + 1:
            _log.error("the store is a restored backup", model=known.name, version=lifted.version)

    async def _gone(self, name: str, model: ModelUuid) -> bool:
        """Tell whether a name means another model now: it may be younger than our list of names."""
        try:
            return await self._ledger.names.find(name) != model
        except (InvalidInput, NotFound):
            return True
