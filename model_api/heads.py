"""Follows the announced heads: loads each, swaps it in, and keeps at it until that works."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing

import structlog

from model_api.live import Live
from tally.announce import announcement, read_announcement
from tally.clock import Clock
from tally.coordination.base import (
    Coordinator,
    Deleted,
    Disconnected,
    Event,
    KeyValue,
    Put,
    Reconnected,
    Snapshot,
)
from tally.errors import CorruptState, StoreUnavailable, TallyError
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.wire.messages import DEFAULT_VERSION, MODELS, Announcement, Serving, version_key

_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 5.0
_MOST_GONE = 10_000  # deleted models whose last announcements may still be under way
_log = structlog.get_logger()


class Heads:
    """Keeps `Live` at the heads that the coordinator announces.

    Heads are ordered by generation. A load that is under way is never given up for a newer
    head, so a model that is published faster than it loads is still served ever newer.

    Args:
        ledger: what was decided; announcements may be old.
        coordinator: where heads are announced.
        live: what is loaded.
        clock: paces the retries.
    """

    def __init__(self, ledger: Ledger, coordinator: Coordinator, live: Live, clock: Clock) -> None:
        self._ledger = ledger
        self._coordinator = coordinator
        self._live = live
        self._clock = clock
        self._heads: dict[ModelUuid, Announcement] = {}
        self._news: dict[ModelUuid, asyncio.Event] = {}
        self._away: set[str] = set()
        self._gone: dict[ModelUuid, None] = {}  # those deleted, in order
        self._group = asyncio.TaskGroup()

    @property
    def connected(self) -> bool:
        """Whether news of heads can arrive, as far as we know."""
        return not self._away

    async def run(self) -> None:
        """Follow until cancelled."""
        async with self._group:
            self._group.create_task(self._watch(DEFAULT_VERSION))
            self._group.create_task(self._watch(MODELS))

    async def _watch(self, prefix: str) -> None:
        async with aclosing(self._coordinator.watch(prefix)) as events:
            async for event in events:
                if isinstance(event, Disconnected):
                    self._away.add(prefix)
                elif isinstance(event, Snapshot | Reconnected):
                    self._away.discard(prefix)
                self._apply(event, prefix)

    def _apply(self, event: Event, prefix: str) -> None:
        items: tuple[KeyValue, ...] = ()
        if isinstance(event, Snapshot):
            items = tuple(event.items.values())
            # What is missing may be deleted, or lost with the coordinator's history.
            self._check({k for k in self._keys() if k.startswith(prefix)} - event.items.keys())
        elif isinstance(event, Deleted):
            self._check({event.key})
        elif isinstance(event, Put):
            items = (event.item,)
        for item in items:
            if (head := read_announcement(item)) is not None:
                self._check({item.key}, but=head.model)
                self._follow(head)

    def _keys(self) -> set[str]:
        return {version_key(head.name) for head in self._heads.values()}

    def _check(self, keys: set[str], but: ModelUuid | None = None) -> None:
        """Find out whether the models that we know under these keys were deleted."""
        for model, head in self._heads.items():
            if model != but and version_key(head.name) in keys:
                self._group.create_task(self._drop_if_deleted(model))

    def _follow(self, head: Announcement) -> None:
        known = self._heads.get(head.model)
        if head.model in self._gone or (known and known.generation >= head.generation):
            return
        self._heads[head.model] = head
        if (news := self._news.get(head.model)) is not None:
            news.set()
            return
        self._news[head.model] = asyncio.Event()
        self._group.create_task(self._pursue(head.model))

    async def _pursue(self, model: ModelUuid) -> None:
        """Load the head of a model, again and again until it is served."""
        try:
            retry_s = _FIRST_RETRY_S
            # A deleted model's last announcement may arrive late: it must not come to life.
            while model not in self._live.serving and not await self._reread(model):
                await self._clock.sleep(random.uniform(retry_s / 2, retry_s))  # noqa: S311
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
            retry_s = _FIRST_RETRY_S
            while (head := self._heads.get(model)) is not None:
                self._news[model].clear()
                if await self._take(head):
                    if self._heads.get(model) is head:
                        return
                    retry_s = _FIRST_RETRY_S
                    continue
                await self._pause(model, random.uniform(retry_s / 2, retry_s))  # noqa: S311
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                await self._reread(model)
        finally:
            del self._news[model]

    async def _take(self, head: Announcement) -> bool:
        """Serve a head, or something else of its model while that cannot be loaded."""
        try:
            loaded = await self._live.get(head.model, head.version, head.restored)
        except TallyError as error:
            reason = f"version {head.version} cannot be loaded: {error}"
            _log.warning("head not loaded", model=head.name, reason=reason)
            await self._stand_in(head, reason)
            return False
        if head.model not in self._heads:
            return True  # deleted while it was loaded
        serving = Serving(head.name, head.version, head.generation, restored=head.restored)
        self._live.swap(serving, loaded)
        _log.info("serving", model=head.name, version=head.version, generation=head.generation)
        try:
            fit = loaded.manifest.fit
            if await self._ledger.fits.served(fit):
                await self._ledger.fits.close(await self._ledger.fits.get(fit))
        except TallyError as error:
            # The reconciler closes it once the store is back.
            _log.warning("fit not marked as served", model=head.name, reason=str(error))
        return True

    async def _stand_in(self, head: Announcement, reason: str) -> None:
        """Serve something of this model while its head cannot be loaded, and say so."""
        if head.model in self._live.serving:
            self._live.degrade(head.model, reason)
            return
        if not head.previous:
            return
        try:
            loaded = await self._live.get(head.model, head.previous, head.restored)
        except TallyError as error:
            _log.warning("previous version not loaded", model=head.name, reason=str(error))
            return
        if head.model in self._heads:
            # The generation before the head's: brokers that know better workers prefer those.
            previous = Serving(head.name, head.previous, head.generation - 1, reason, head.restored)
            self._live.swap(previous, loaded)

    async def _pause(self, model: ModelUuid, seconds: float) -> None:
        """Wait for a while, or for a newer head."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        news = asyncio.ensure_future(self._news[model].wait())
        try:
            await asyncio.wait({sleeping, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in (sleeping, news):
                waiting.cancel()
            await asyncio.gather(sleeping, news, return_exceptions=True)

    async def _reread(self, model: ModelUuid) -> bool:
        """Take over what the store says, as announcements may be old; false if it is away."""
        try:
            now = await self._ledger.versions.head(model)
        except StoreUnavailable:
            return False
        except CorruptState:
            return True  # then the announcement is all there is
        if now is None or now.deleted:
            self._forget(model)
        elif model in self._heads and now.generation > self._heads[model].generation:
            self._heads[model] = announcement(model, now)
        return True

    async def _drop_if_deleted(self, model: ModelUuid) -> None:
        while model in self._heads:
            try:
                head = await self._ledger.versions.head(model)
            except StoreUnavailable:
                # Nothing is dropped on a guess.
                await self._clock.sleep(_LAST_RETRY_S)
                continue
            except CorruptState as error:
                _log.error("head cannot be read", model=model, reason=str(error))
                return
            if head is None or head.deleted:
                self._forget(model)
            return

    def _forget(self, model: ModelUuid) -> None:
        head = self._heads.pop(model, None)
        self._gone[model] = None
        while len(self._gone) > _MOST_GONE:
            del self._gone[next(iter(self._gone))]
        if head is not None:
            _log.info("unloading a deleted model", model=head.name)
        if (news := self._news.get(model)) is not None:
            news.set()
        self._live.unload(model)
