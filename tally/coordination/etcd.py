"""The coordinator on etcd."""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace
from functools import partial

from tally.clock import Clock, SystemClock
from tally.coordination.base import Deleted, KeyValue, Lease, Put, Snapshot
from tally.coordination.bounds import check_key, check_ttl, check_value
from tally.coordination.etcd_client import EtcdClient
from tally.coordination.etcd_connection import EtcdOptions
from tally.coordination.etcd_messages import RevisedChange, WatchMessage
from tally.coordination.etcd_stream import WatchStream
from tally.coordination.feed import Batch, Feed, HistoryGone, Position, Source
from tally.coordination.prefixes import stripped_change, stripped_item
from tally.coordination.renewal import RENEWALS_PER_TTL, RenewedLease, lease_id_of
from tally.errors import CoordinationUnavailable

INCARNATION_KEY = "tally/incarnation"
"""Under the prefix. It vanishes with everything else when etcd is emptied, and is made anew."""

QUIET_S = 1.0
"""After so long without a word on a watch, we ask for one."""

SILENCE_S = 2.0
"""A watch that does not answer for so long is given up and opened again."""


class EtcdCoordinator:
    """A `Coordinator` on etcd.

    Args:
        options: how to reach it.
        prefix: put before every key.
        clock: paces lease renewals.
    """

    def __init__(
        self, options: EtcdOptions, *, prefix: str = "", clock: Clock | None = None
    ) -> None:
        self._client = EtcdClient(options)
        self._options = options
        self._prefix = prefix
        self._incarnation_key = prefix + INCARNATION_KEY
        self._clock = clock or SystemClock()
        self._feeds: set[Feed] = set()
        self._leases: set[RenewedLease] = set()
        self._closed = False

    def __repr__(self) -> str:
        return f"EtcdCoordinator({','.join(self._options.endpoints)!r}, prefix={self._prefix!r})"

    async def get(self, key: str) -> KeyValue | None:
        """Return a key, None if there is none."""
        check_key(key)
        found = await self._client.get(self._prefix + key)
        return next((stripped_item(item, self._prefix) for item in found.items), None)

    async def list(self, prefix: str) -> Snapshot:
        """Return all keys that start with `prefix`."""
        snapshot, _ = await self._snapshot(prefix)
        return snapshot

    async def put(self, key: str, value: bytes, lease: Lease | None = None) -> int:
        """Set a key and return its new revision; `Conflict` where the lease has ended."""
        check_key(key)
        check_value(key, value)
        return await self._client.put(self._prefix + key, value, lease_id_of(lease) or 0)

    async def replace(self, key: str, value: bytes, expected_revision: int) -> bool:
        """Set a key if its revision is still the expected one (0: it must not exist)."""
        check_key(key)
        check_value(key, value)
        return await self._client.replace(self._prefix + key, value, expected_revision)

    async def delete(self, key: str, expected_revision: int | None = None) -> bool:
        """Delete a key, where a revision is given only if the key still has it."""
        check_key(key)
        return await self._client.delete(self._prefix + key, expected_revision)

    async def grant(self, ttl_s: float) -> Lease:
        """Return a new lease, renewed in the background. etcd counts in whole seconds."""
        check_ttl(ttl_s)
        lease = RenewedLease(
            await self._client.grant(math.ceil(ttl_s)),
            ttl_s,
            renew=partial(self._client.renew, timeout_s=ttl_s / RENEWALS_PER_TTL),
            revoke=self._client.revoke,
            clock=self._clock,
            on_end=self._leases.discard,
        )
        self._leases.add(lease)
        return lease

    def watch(self, prefix: str) -> Feed:
        """Yield a `Snapshot`, then every change, for ever. See `Coordinator.watch`."""
        if self._closed:
            raise CoordinationUnavailable(f"{self._client}: the coordinator is closed")
        feed = Feed(
            Source(partial(self._snapshot, prefix), partial(self._follow, prefix)),
            self._feeds.discard,
        )
        self._feeds.add(feed)
        return feed

    async def ping(self) -> None:
        """Return when a majority answers; raise `CoordinationUnavailable` otherwise."""
        await self._client.get(self._incarnation_key)

    async def close(self) -> None:
        """End watches, stop renewing leases, close connections. Twice is allowed."""
        if self._closed:
            return
        self._closed = True
        for feed in list(self._feeds):
            await feed.aclose()
        for lease in list(self._leases):
            await lease.abandon()
        await self._client.close()

    # --- watching ---------------------------------------------------------------------------

    async def _snapshot(self, prefix: str) -> tuple[Snapshot, Position]:
        while True:
            own, found = await self._client.get_with_range(
                self._incarnation_key, self._prefix + prefix
            )
            if own.items:
                break
            await self._client.replace(self._incarnation_key, _new_incarnation(), 0)
        incarnation = own.items[0].value.decode()
        items = {
            item.key.removeprefix(self._prefix): stripped_item(item, self._prefix)
            for item in found.items
            if item.key != self._incarnation_key
        }
        header = found.header
        return Snapshot(incarnation, items), Position(incarnation, header.revision, header.term)

    async def _follow(self, prefix: str, position: Position) -> AsyncGenerator[Batch]:
        async with self._client.watch_stream() as stream:
            await stream.add_prefix(self._prefix + prefix, position.revision + 1)
            # Whoever learns that the history was lost changes this key, and so tells us.
            await stream.add_key(self._incarnation_key, position.revision + 1)
            created, early = 0, list[RevisedChange]()
            while created < 2:
                message = await self._read(stream)
                created += message.created
                early += message.changes
            # Only now: had etcd been replaced before, the stream would wait without a word for
            # a revision far ahead, and this tells; should it be replaced later, the stream ends.
            position = await self._checked(position)
            batch = self._batch(early, position)
            while True:
                yield batch
                message = await self._read(stream)
                batch = self._batch(message.changes, batch.position)

    async def _read(self, stream: WatchStream) -> WatchMessage:
        """Return the next message; a stream that has gone silent is an outage."""
        message = await stream.read(QUIET_S)
        if message is None:
            await stream.ask_for_progress()
            message = await stream.read(SILENCE_S)
        if message is None:
            silence_s = QUIET_S + SILENCE_S
            raise CoordinationUnavailable(f"{self._client}: no word for {silence_s:g} s")
        if message.compacted:
            raise HistoryGone
        if message.cancelled is not None:
            # For want of a permission, perhaps because our login has run out.
            self._client.forget_login()
            raise CoordinationUnavailable(f"{self._client}: watch refused: {message.cancelled}")
        return message

    def _batch(self, changes: Iterable[RevisedChange], since: Position) -> Batch:
        told: list[Put | Deleted] = []
        revision = since.revision
        for changed, change in changes:
            key = change.item.key if isinstance(change, Put) else change.key
            if key == self._incarnation_key:
                raise HistoryGone
            if changed > since.revision:
                told.append(stripped_change(change, self._prefix))
                revision = changed
        return Batch(tuple(told), replace(since, revision=revision))

    async def _checked(self, known: Position) -> Position:
        """Return the position with today's term; `HistoryGone` if its history is no more."""
        own = await self._client.get(self._incarnation_key)
        if not own.items or own.items[0].value.decode() != known.incarnation:
            raise HistoryGone
        if own.header.revision < known.revision or own.header.term < known.term:
            # An older copy of our history was restored, and it still bears our name: rename it.
            # Where another client was quicker, its name is as good.
            own_revision = own.items[0].revision
            await self._client.replace(self._incarnation_key, _new_incarnation(), own_revision)
            raise HistoryGone
        return replace(known, term=own.header.term)


def _new_incarnation() -> bytes:
    return uuid.uuid4().hex.encode()
