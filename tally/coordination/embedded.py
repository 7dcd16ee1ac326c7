"""The embedded coordinator: one SQLite file, shared by the processes of one machine.

The file is polled every `POLL_S` while somebody watches, which bounds how late a change of
another process is seen; a change through this coordinator wakes its own watches at once. Only
watches of what has changed are woken: with `n` workers that all tell what they serve, waking
each at each word costs n * n looks into the file. All work on the file happens in one thread of
this coordinator, never on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from tally.clock import Clock, SystemClock
from tally.coordination.base import KeyValue, Lease, Snapshot
from tally.coordination.boot import boot_id as machine_boot_id
from tally.coordination.bounds import check_key, check_ttl, check_value
from tally.coordination.feed import Batch, Feed, Position, Source
from tally.coordination.polling_thread import PollingThread
from tally.coordination.prefixes import stripped_change, stripped_item
from tally.coordination.registry import Registry
from tally.coordination.renewal import RenewedLease, lease_id_of
from tally.errors import CoordinationUnavailable, TallyError

POLL_S = 0.01
LOG_REVISIONS = 10_000
MOST_UNREAD = 32
"""A watch that nothing concerns reads on after so many changes, lest the log be cut behind it."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Waker:
    """Wakes one watch.

    Attributes:
        prefix: what the watch is about, as the file has it.
        moved: set when the watch should look.
        unread: how many keys changed since, none of them its own.
    """

    prefix: str
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    unread: int = 0

    def tell(self, keys: Collection[str] | None) -> None:
        """Wake the watch if one of these keys, None for any, concerns it."""
        if keys is not None and not any(key.startswith(self.prefix) for key in keys):
            self.unread += len(keys)
            if self.unread < MOST_UNREAD:
                return
        self.unread = 0
        self.moved.set()


class EmbeddedCoordinator:
    """A `Coordinator` on a SQLite file.

    Args:
        path: of the file.
        prefix: put before every key.
        timeout_s: deadline of every call.
        clock: of the machine; another one in tests.
        boot_id: of the machine; another one in tests.
        log_revisions: how many changes a watch may be behind before it gets a new snapshot.
    """

    def __init__(
        self,
        path: Path,
        *,
        prefix: str = "",
        timeout_s: float = 5.0,
        clock: Clock | None = None,
        boot_id: str | None = None,
        log_revisions: int = LOG_REVISIONS,
    ) -> None:
        self._path = path
        self._prefix = prefix
        self._timeout_s = timeout_s
        self._clock = clock or SystemClock()
        self._registry = Registry(
            path,
            clock=self._clock,
            boot_id=boot_id or machine_boot_id(),
            log_revisions=log_revisions,
            # Shorter than the deadline, so that a caller who gave up is followed by no write.
            busy_timeout_s=0.8 * timeout_s,
        )
        self._watches: dict[Feed, _Waker] = {}
        self._leases: set[RenewedLease] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: PollingThread | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"EmbeddedCoordinator({str(self._path)!r}, prefix={self._prefix!r})"

    async def get(self, key: str) -> KeyValue | None:
        """Return a key, None if there is none."""
        check_key(key)
        found = await self._call(self._registry.get, self._prefix + key)
        return None if found is None else stripped_item(found, self._prefix)

    async def list(self, prefix: str) -> Snapshot:
        """Return all keys that start with `prefix`."""
        snapshot, _ = await self._snapshot(prefix)
        return snapshot

    async def put(self, key: str, value: bytes, lease: Lease | None = None) -> int:
        """Set a key and return its new revision; `Conflict` where the lease has ended."""
        check_key(key)
        check_value(key, value)
        lease_id = lease_id_of(lease)
        revision = await self._call(self._registry.put, self._prefix + key, value, lease_id)
        self._wake({self._prefix + key})
        return revision

    async def replace(self, key: str, value: bytes, expected_revision: int) -> bool:
        """Set a key if its revision is still the expected one (0: it must not exist)."""
        check_key(key)
        check_value(key, value)
        done = await self._call(
            self._registry.replace, self._prefix + key, value, expected_revision
        )
        if done:
            self._wake({self._prefix + key})
        return done

    async def delete(self, key: str, expected_revision: int | None = None) -> bool:
        """Delete a key, where a revision is given only if the key still has it."""
        check_key(key)
        gone = await self._call(self._registry.delete, self._prefix + key, expected_revision)
        if gone:
            self._wake({self._prefix + key})
        return gone

    async def grant(self, ttl_s: float) -> Lease:
        """Return a new lease, renewed in the background."""
        check_ttl(ttl_s)
        lease = RenewedLease(
            await self._call(self._registry.grant, ttl_s),
            ttl_s,
            renew=self._renew,
            revoke=self._revoke,
            clock=self._clock,
            on_end=self._leases.discard,
        )
        self._leases.add(lease)
        return lease

    def watch(self, prefix: str) -> Feed:
        """Yield a `Snapshot`, then every change, for ever. See `Coordinator.watch`."""
        if self._closed:
            raise CoordinationUnavailable(f"{self._path}: the coordinator is closed")
        waker = _Waker(self._prefix + prefix)
        feed = Feed(
            Source(partial(self._snapshot, prefix), partial(self._follow, prefix, waker.moved)),
            self._forget,
        )
        self._watches[feed] = waker
        return feed

    async def ping(self) -> None:
        """Return when the file can be read; raise `CoordinationUnavailable` otherwise."""
        await self._call(self._registry.head)

    async def close(self) -> None:
        """End watches, stop renewing leases, close the file. Twice is allowed."""
        if self._closed:
            return
        self._closed = True
        for feed in list(self._watches):
            await feed.aclose()
        for lease in list(self._leases):
            await lease.abandon()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.stop)
        self._registry.close()

    async def _snapshot(self, prefix: str) -> tuple[Snapshot, Position]:
        snapshot, position = await self._call(self._registry.snapshot, self._prefix + prefix)
        items = (stripped_item(item, self._prefix) for item in snapshot.items.values())
        return Snapshot(snapshot.incarnation, {item.key: item for item in items}), position

    async def _changes(self, prefix: str, since: Position) -> Batch:
        batch = await self._call(self._registry.changes, self._prefix + prefix, since)
        changes = (stripped_change(change, self._prefix) for change in batch.changes)
        return Batch(tuple(changes), batch.position)

    async def _renew(self, lease_id: int) -> bool:
        return await self._call(self._registry.renew, lease_id)

    async def _revoke(self, lease_id: int) -> None:
        await self._call(self._registry.revoke, lease_id)
        self._wake()

    async def _follow(
        self, prefix: str, moved: asyncio.Event, position: Position
    ) -> AsyncGenerator[Batch]:
        while True:
            # Cleared before the look, so that a change after it wakes us again.
            moved.clear()
            batch = await self._changes(prefix, position)
            yield batch
            if batch.position == position:
                await moved.wait()
            position = batch.position

    def _poll(self) -> None:
        """Wake the watches when the history moves, and when it is out of reach. In the thread."""
        keys: Collection[str] | None
        try:
            keys = self._registry.moved()
        except TallyError:
            keys = None  # the watches meet the same error, and pause by themselves
        if (keys is None or keys) and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed before the coordinator
                self._loop.call_soon_threadsafe(self._wake, keys)

    def _wake(self, keys: Collection[str] | None = None) -> None:
        for waker in self._watches.values():
            waker.tell(keys)

    def _forget(self, feed: Feed) -> None:
        self._watches.pop(feed, None)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise CoordinationUnavailable(f"{self._path}: the coordinator is closed")
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = PollingThread(self._poll, POLL_S, lambda: bool(self._watches))
        job = self._thread.submit(function, *args, **kwargs)
        try:
            # Not `wait_for`: in Python 3.11 it swallows a cancellation that meets the result.
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            message = f"{self._path}: no answer within {self._timeout_s:g} s"
            raise CoordinationUnavailable(message) from None
