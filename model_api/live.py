"""Which versions are loaded, and how one takes over from another without a gap.

A new version is loaded beside the old one; then one assignment swaps the table. A reader takes
one version from the table and answers from that, so no answer mixes versions.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

import msgspec

from tally.clock import Clock
from tally.codec.binary import decode
from tally.errors import CorruptState, NotFound, TallyError
from tally.forecast.base import Model
from tally.forecast.fitting import restore
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.ledger.records import Version, VersionState
from tally.wire.messages import Serving

_LOADS_AT_ONCE = 4
_SWEEPS_PER_GRACE = 4
_SHORTEST_SWEEP_S = 0.05

Key = tuple[ModelUuid, int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version in memory.

    Attributes:
        restored: how often the store was known to be a restored backup when this was read.
    """

    uuid: ModelUuid
    manifest: Version
    model: Model
    restored: int = 0


class Live:
    """The loaded versions of this worker.

    Args:
        ledger: where manifests and binaries are.
        clock: ours.
        grace_s: how long a version stays after another took its place.
        extra: how many versions stay that were only asked for by number.
        changed: called whenever `serving` has changed.

    Attributes:
        serving: the version that stands for each model now; replaced, never changed.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        *,
        grace_s: float,
        extra: int,
        changed: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._grace_s = grace_s
        self._extra = extra
        self._changed = changed
        self._kept: Mapping[Key, Loaded] = {}
        self._left_at: dict[Key, float] = {}
        self._aside: OrderedDict[Key, Loaded] = OrderedDict()
        self._loading: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self._turns = asyncio.Semaphore(_LOADS_AT_ONCE)
        self.serving: Mapping[ModelUuid, Serving] = {}

    @property
    def loaded(self) -> frozenset[Key]:
        """The versions in memory."""
        return frozenset({*self._kept, *self._aside})

    async def run(self) -> None:
        """Drop versions whose grace is over, until cancelled."""
        every_s = max(self._grace_s / _SWEEPS_PER_GRACE, _SHORTEST_SWEEP_S)
        while True:
            await self._clock.sleep(every_s)
            now = self._clock.monotonic()
            over = {key for key, left in self._left_at.items() if now - left >= self._grace_s}
            if over:
                self._kept = {k: v for k, v in self._kept.items() if k not in over}
                self._left_at = {k: v for k, v in self._left_at.items() if k not in over}

    async def get(self, model: ModelUuid, version: int, restored: int = 0) -> Loaded:
        """Return a version, loaded now if it is not yet.

        Args:
            model, version: which.
            restored: what was read before the store was restored for so many times is read again:
                the number may mean another version now.

        Raises:
            NotFound: there is no such version, or it is retired.
            StoreUnavailable: it is not loaded and the store is away.
            CorruptState: its binary cannot be read.
            AlgorithmUnavailable: a package that it needs is not installed here.
        """
        key = (model, version)
        if (found := self._found(key, restored)) is not None:
            return found
        # Whoever asks for the same version meanwhile waits for this load, and then finds it.
        lock = self._loading.get(key)
        if lock is None:
            lock = self._loading[key] = asyncio.Lock()
        async with lock:
            if (found := self._found(key, restored)) is not None:
                return found
            async with self._turns:
                loaded = await self._load(model, version, restored)
            self._aside[key] = loaded
            while len(self._aside) > self._extra:
                self._aside.popitem(last=False)
            return loaded

    def swap(self, serving: Serving, loaded: Loaded) -> None:
        """Serve a loaded version from now on; the one before stays for the grace."""
        key = (loaded.uuid, loaded.manifest.version)
        before = self.serving.get(loaded.uuid)
        if before is not None and before.version != serving.version:
            self._left_at[(loaded.uuid, before.version)] = self._clock.monotonic()
        self._left_at.pop(key, None)
        self._aside.pop(key, None)
        self._kept = {**self._kept, key: loaded}
        self._set_serving({**self.serving, loaded.uuid: serving})

    def degrade(self, model: ModelUuid, reason: str) -> None:
        """Go on serving what is served of a model, and say why it is not its head."""
        degraded = msgspec.structs.replace(self.serving[model], degraded=reason)
        self._set_serving({**self.serving, model: degraded})

    def unload(self, model: ModelUuid) -> None:
        """Forget all versions of a model at once: it was deleted."""
        self._kept = {k: v for k, v in self._kept.items() if k[0] != model}
        self._left_at = {k: v for k, v in self._left_at.items() if k[0] != model}
        for key in [key for key in self._aside if key[0] == model]:
            del self._aside[key]
        self._set_serving({k: v for k, v in self.serving.items() if k != model})

    def _found(self, key: Key, restored: int) -> Loaded | None:
        if (found := self._kept.get(key)) is not None and found.restored >= restored:
            return found
        if (found := self._aside.get(key)) is not None and found.restored >= restored:
            self._aside.move_to_end(key)
            return found
        return None

    async def _load(self, model: ModelUuid, version: int, restored: int) -> Loaded:
        manifest = await self._ledger.versions.get(model, version)
        if manifest.state is VersionState.RETIRED:
            raise NotFound(f"version {version} is retired")
        binary = await self._ledger.store.get_blob(manifest.blob.blob())
        return Loaded(model, manifest, await asyncio.to_thread(_restored, binary), restored)

    def _set_serving(self, serving: Mapping[ModelUuid, Serving]) -> None:
        if serving != self.serving:
            self.serving = serving
            self._changed()


def _restored(binary: bytes) -> Model:
    try:
        return restore(decode(binary))
    except TallyError:
        raise
    except Exception as error:  # whatever a family trips over, the worker's other models go on
        raise CorruptState(f"the model cannot be restored: {error!r}") from error
