"""Which versions are loaded, and how one takes over from another without a gap.

A new version is loaded beside the old one; then one assignment swaps the table. Readers take
the table once, so no answer mixes versions.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from tally.announce import read_announcement
from tally.codec.binary import decode
from tally.coordination.base import Coordinator, Deleted, KeyValue, Put, Snapshot
from tally.errors import CorruptState, NotFound, StoreUnavailable, TallyError
from tally.forecast.base import Model
from tally.forecast.fitting import restore
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.ledger.records import Version, VersionState
from tally.wire.messages import DEFAULT_VERSION, MODELS, Announcement, Serving

_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 5.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version in memory."""

    uuid: ModelUuid
    manifest: Version
    model: Model


class Live:
    """The loaded versions of this worker.

    Args:
        ledger: where manifests and binaries are.
        coordinator: where heads are announced.
        grace_s: how long a version stays after another took its place.
        extra: how many versions stay that were only asked for by number.
        changed: called after every swap.
    """

    def __init__(
        self,
        ledger: Ledger,
        coordinator: Coordinator,
        *,
        grace_s: float,
        extra: int,
        changed: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._coordinator = coordinator
        self._grace_s = grace_s
        self._extra = extra
        self._changed = changed
        self._heads: dict[ModelUuid, Announcement] = {}
        self._following: dict[ModelUuid, asyncio.Task[None]] = {}
        self._loaded: Mapping[tuple[ModelUuid, int], Loaded] = {}
        self._aside: OrderedDict[tuple[ModelUuid, int], Loaded] = OrderedDict()
        self._loading = asyncio.Semaphore(4)
        self._group = asyncio.TaskGroup()
        self.serving: Mapping[ModelUuid, Serving] = {}

    async def run(self) -> None:
        """Follow the announcements until cancelled."""
        async with self._group:
            self._group.create_task(self._watch(DEFAULT_VERSION))
            self._group.create_task(self._watch(MODELS))

    async def get(self, model: ModelUuid, version: int) -> Loaded:
        """Return a version, loaded now if it is not yet.

        Raises:
            NotFound: there is no such version, or it is retired.
            StoreUnavailable: it is not loaded and the store is away.
            CorruptState: its binary cannot be read.
        """
        key = (model, version)
        if (found := self._loaded.get(key)) is not None:
            return found
        if (found := self._aside.get(key)) is not None:
            self._aside.move_to_end(key)
            return found
        async with self._loading:
            loaded = await self._load(model, version)
        self._aside[key] = loaded
        while len(self._aside) > self._extra:
            self._aside.popitem(last=False)
        return loaded

    async def _watch(self, prefix: str) -> None:
        async for event in self._coordinator.watch(prefix):
            items: tuple[KeyValue, ...] = ()
            if isinstance(event, Snapshot):
                items = tuple(event.items.values())
                # What is missing may be deleted, or lost with the coordinator's history.
                self._group.create_task(self._drop_deleted())
            elif isinstance(event, Put):
                items = (event.item,)
            elif isinstance(event, Deleted):
                self._group.create_task(self._drop_deleted())
            for item in items:
                if (announced := read_announcement(item)) is not None:
                    self._follow(announced)

    def _follow(self, head: Announcement) -> None:
        known = self._heads.get(head.model)
        if known is not None and known.generation >= head.generation:
            return
        self._heads[head.model] = head
        if (task := self._following.get(head.model)) is not None:
            task.cancel()
        self._following[head.model] = self._group.create_task(self._serve(head.model))

    async def _serve(self, model: ModelUuid) -> None:
        """Load the head of a model, again and again until it is there."""
        retry_s = _FIRST_RETRY_S
        while (head := self._heads.get(model)) is not None:
            try:
                loaded = await self._load(model, head.version)
            except TallyError as error:
                reason = f"version {head.version} cannot be loaded: {error}"
                _log.warning("head not loaded", model=head.name, reason=reason)
                await self._stand_in(head, reason)
                await asyncio.sleep(random.uniform(retry_s / 2, retry_s))  # noqa: S311
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                await self._reread(head)
                continue
            self._swap(head, loaded)
            _log.info("serving", model=head.name, version=head.version)
            try:
                if (fit := await self._ledger.fits.served(model, head.version)) is not None:
                    await self._ledger.fits.close(await self._ledger.fits.get(fit))
            except TallyError as error:
                # The reconciler closes it once the store is back.
                _log.warning("fit not marked as served", reason=str(error))
            return

    async def _load(self, model: ModelUuid, version: int) -> Loaded:
        if (found := self._loaded.get((model, version))) is not None:
            return found
        manifest = await self._ledger.versions.get(model, version)
        if manifest.state is VersionState.RETIRED:
            raise NotFound(f"version {version} is retired")
        binary = await self._ledger.store.get_blob(manifest.blob.blob())

        def build() -> Model:
            return restore(decode(binary))

        return Loaded(model, manifest, await asyncio.to_thread(build))

    async def _stand_in(self, head: Announcement, reason: str) -> None:
        """Serve something of this model while its head cannot be loaded, and say so."""
        current = self.serving.get(head.model)
        if current is not None:
            degraded = Serving(current.name, current.version, current.generation, reason)
            self._set_serving({**self.serving, head.model: degraded})
            return
        if not head.previous:
            return
        try:
            loaded = await self._load(head.model, head.previous)
        except TallyError:
            return
        self._loaded = {**self._loaded, (head.model, head.previous): loaded}
        # The generation before the head's: brokers that know better workers prefer those.
        serving = Serving(head.name, head.previous, head.generation - 1, reason)
        self._set_serving({**self.serving, head.model: serving})

    async def _reread(self, head: Announcement) -> None:
        """Take over what the store says now: the announcement may be old."""
        try:
            now = await self._ledger.versions.head(head.model)
        except (StoreUnavailable, CorruptState):
            return
        if now is None or now.deleted:
            self._unload(head.model)
        elif now.generation > self._heads[head.model].generation:
            self._heads[head.model] = Announcement(
                now.version, now.moved_at, now.name, head.model, now.previous, now.generation
            )

    def _swap(self, head: Announcement, loaded: Loaded) -> None:
        before = self.serving.get(head.model)
        self._loaded = {**self._loaded, (head.model, head.version): loaded}
        self._set_serving(
            {**self.serving, head.model: Serving(head.name, head.version, head.generation)}
        )
        if before is not None and before.version != head.version:
            self._group.create_task(self._release(head.model, before.version))

    async def _release(self, model: ModelUuid, version: int) -> None:
        await asyncio.sleep(self._grace_s)
        serving = self.serving.get(model)
        if serving is None or serving.version != version:
            self._loaded = {k: v for k, v in self._loaded.items() if k != (model, version)}

    async def _drop_deleted(self) -> None:
        for model in list(self._heads):
            try:
                head = await self._ledger.versions.head(model)
            except (StoreUnavailable, CorruptState):
                continue  # nothing is dropped on a guess
            if head is None or head.deleted:
                self._unload(model)

    def _unload(self, model: ModelUuid) -> None:
        self._heads.pop(model, None)
        if (
            task := self._following.pop(model, None)
        ) is not None and task is not asyncio.current_task():
            task.cancel()
        self._loaded = {k: v for k, v in self._loaded.items() if k[0] != model}
        for key in [key for key in self._aside if key[0] == model]:
            del self._aside[key]
        self._set_serving({k: v for k, v in self.serving.items() if k != model})

    def _set_serving(self, serving: Mapping[ModelUuid, Serving]) -> None:
        if serving != self.serving:
            self.serving = serving
            self._changed()
