"""Keeps the table up to date from the coordinator's watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import msgspec
import structlog

from tally.announce import read_announcement
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
from tally.ids import ModelUuid, NodeId
from tally.routing.table import Table
from tally.wire.messages import (
    DEFAULT_VERSION,
    FITTERS,
    MODELS,
    NODES,
    Announcement,
    Fitter,
    Node,
    version_key,
)

K = TypeVar("K", bound=str)
T = TypeVar("T")
_log = structlog.get_logger()


class Follower:
    """Owns the table.

    Args:
        coordinator: whom to watch.
        clock: for the grace.
        grace_s: for so long after the coordinator was away, or lost its history, nobody is
            taken for dead: a worker that is missing may only not have registered again yet.
    """

    def __init__(self, coordinator: Coordinator, clock: Clock, grace_s: float) -> None:
        self._coordinator = coordinator
        self._clock = clock
        self._grace_s = grace_s
        self._changed = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._away: set[str] = set()
        self._listed: set[str] = set()
        self._settled_at = clock.monotonic()
        self.table = Table()
        self.ended = False
        """Set when this process is stopping: no news will come, and waiting for some is vain."""
        self.announced = asyncio.Event()
        """Set when heads should be announced again: at the start, and in a new history."""

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            async with self._group:
                self._group.create_task(self._watch(NODES, self._nodes))
                self._group.create_task(self._watch(FITTERS, self._fitters))
                self._group.create_task(self._watch(DEFAULT_VERSION, self._heads))
                self._group.create_task(self._watch(MODELS, self._heads))
        finally:
            self.ended = True
            self._set(self.table)

    async def wait_changed(self, timeout_s: float) -> None:
        """Return when the table has changed, or after a while."""
        changed = self._changed
        try:
            async with asyncio.timeout(timeout_s):
                await changed.wait()
        except TimeoutError:
            return

    def forget(self, name: str, model: ModelUuid) -> None:
        """Take a model that is known to be deleted out of the table."""
        heads = {n: h for n, h in self.table.heads.items() if (n, h.model) != (name, model)}
        told = {m for node in self.table.nodes.values() for m in node.serving}
        # Those that no worker names any more need not be remembered.
        deleted = self.table.deleted & told | {model}
        self._set(replace(self.table, heads=heads, deleted=deleted))

    async def _watch(self, prefix: str, apply: Callable[[Event], None]) -> None:
        async for event in self._coordinator.watch(prefix):
            if isinstance(event, Disconnected):
                self._away.add(prefix)
                _log.warning("coordinator out of reach", prefix=prefix, reason=event.reason)
            elif isinstance(event, Snapshot | Reconnected):
                self._away.discard(prefix)
                if prefix in self._listed:
                    self._settled_at = self._clock.monotonic() + self._grace_s
                self._listed.add(prefix)
            apply(event)
            self._set(replace(self.table, connected=not self._away))

    def _set(self, table: Table) -> None:
        self.table = table
        # A new event for whoever waits next, so that no waiter misses a change or sees an old one.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _nodes(self, event: Event) -> None:
        known = self.table.nodes
        found = {NodeId(n): v for n, v in _applied(event, NODES, known, _node).items()}
        missing = {n: known[n] for n in known.keys() - found.keys()}
        if missing and self._clock.monotonic() < self._settled_at:
            self._group.create_task(self._drop_later(missing))
            found |= missing
        self.table = replace(self.table, nodes=found)

    async def _drop_later(self, missing: Mapping[NodeId, Node]) -> None:
        await self._clock.sleep(self._grace_s)
        # One that has registered again since is another object.
        left = {n: v for n, v in self.table.nodes.items() if missing.get(n) is not v}
        self._set(replace(self.table, nodes=left))

    def _fitters(self, event: Event) -> None:
        fitters = _applied(event, FITTERS, self.table.fitters, _fitter)
        self.table = replace(self.table, fitters=fitters)

    def _heads(self, event: Event) -> None:
        heads = dict(self.table.heads)
        if isinstance(event, Snapshot):
            self.announced.set()
            items = tuple(event.items.values())
        elif isinstance(event, Put):
            items = (event.item,)
        elif isinstance(event, Deleted):
            heads = {n: h for n, h in heads.items() if version_key(n) != event.key}
            items = ()
        else:
            return
        for item in items:
            head = read_announcement(item)
            if head is not None and _newer(head, heads.get(head.name)):
                heads[head.name] = head
        self.table = replace(self.table, heads=heads)


def _newer(head: Announcement, known: Announcement | None) -> bool:
    return known is None or known.model != head.model or head.generation >= known.generation


def _applied(
    event: Event, prefix: str, known: Mapping[K, T], read: Callable[[KeyValue], T | None]
) -> dict[str, T]:
    if isinstance(event, Snapshot):
        found = {key.removeprefix(prefix): read(item) for key, item in event.items.items()}
        return {key: value for key, value in found.items() if value is not None}
    result: dict[str, T] = {str(key): value for key, value in known.items()}
    if isinstance(event, Put) and (value := read(event.item)) is not None:
        result[event.item.key.removeprefix(prefix)] = value
    elif isinstance(event, Deleted):
        result.pop(event.key.removeprefix(prefix), None)
    return result


def _node(item: KeyValue) -> Node | None:
    return _read(item, Node)


def _fitter(item: KeyValue) -> Fitter | None:
    return _read(item, Fitter)


M = TypeVar("M", bound=msgspec.Struct)


def _read(item: KeyValue, kind: type[M]) -> M | None:
    try:
        return msgspec.json.decode(item.value, type=kind)
    except msgspec.MsgspecError as error:
        _log.warning("key cannot be read", key=item.key, reason=str(error))
        return None
