"""What Tally asks of a coordinator: a small registry with leases and watches.

The coordinator announces; it never decides. Losing all of its keys loses no promise, because
everything in it is put again from the store (versions) or by its owner (nodes).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key as it was read.

    Attributes:
        key: without the configured prefix.
        value: at most 1 MiB.
        revision: of the last change of this key; grows with every change of any key.
    """

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys under the watched prefix: replace what you knew.

    It comes first, and again whenever the changes since the last event cannot be told one by
    one: after a compaction, and after the coordinator lost or replaced its history.

    Attributes:
        incarnation: names this history; a new one after the coordinator was emptied or
            restored. Whoever owns keys puts them again then.
        items: by key.
    """

    incarnation: str
    items: Mapping[str, KeyValue]


@dataclass(frozen=True, slots=True)
class Put:
    """A key was created or changed."""

    item: KeyValue


@dataclass(frozen=True, slots=True)
class Deleted:
    """A key was deleted, or its lease ended."""

    key: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The coordinator is out of reach; the watch goes on by itself when it is back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The coordinator is back, and every change in between has been or will be told."""


Event = Snapshot | Put | Deleted | Disconnected | Reconnected


class Lease(Protocol):
    """A promise to be alive, renewed in the background until `close`.

    Keys put under it vanish when it ends. A lease that ended by itself (the process was stopped
    too long, the coordinator lost its history) never comes back: `ended` says so, and the owner
    grants a new one and puts its keys again.
    """

    @property
    def ended(self) -> bool:
        """Tell whether the lease is known to have ended."""
        ...

    async def wait_ended(self) -> None:
        """Return once the lease is known to have ended."""
        ...

    async def close(self) -> None:
        """Stop renewing, and end the lease and its keys now if the coordinator is in reach."""
        ...


class Watch(AsyncIterable[Event], Protocol):
    """The events under a prefix, for ever; `aclose` ends it."""

    async def __anext__(self) -> Event:
        """Return the next event."""
        ...

    async def aclose(self) -> None:
        """End the watch; twice is allowed."""
        ...


class Coordinator(Protocol):
    """Keys, leases and watches.

    Every call has a deadline and raises `CoordinationUnavailable` past it. A write that raised
    may have happened; all writes here are announcements, which are safe to repeat.
    """

    async def get(self, key: str) -> KeyValue | None:
        """Return a key, None if there is none."""
        ...

    async def list(self, prefix: str) -> Snapshot:
        """Return all keys that start with `prefix`."""
        ...

    async def put(self, key: str, value: bytes, lease: Lease | None = None) -> int:
        """Set a key and return its new revision.

        Raises:
            Conflict: the lease has ended.
        """
        ...

    async def replace(self, key: str, value: bytes, expected_revision: int) -> bool:
        """Set a key if its revision is still the expected one (0: it must not exist)."""
        ...

    async def delete(self, key: str, expected_revision: int | None = None) -> bool:
        """Delete a key, where a revision is given only if the key still has it.

        Returns:
            Whether there was anything to delete; where there was not, that is not an error.
        """
        ...

    async def grant(self, ttl_s: float) -> Lease:
        """Return a new lease that ends when it was not renewed for `ttl_s` (2 s at least)."""
        ...

    def watch(self, prefix: str) -> Watch:
        """Return an iterator over a `Snapshot`, then every change, for ever.

        Where the coordinator is out of reach at first, `Disconnected` comes before that. The
        iterator outlives the coordinator: it yields `Disconnected` once per outage, resumes
        without losing or repeating a change, and where it cannot, yields a new `Snapshot`.
        A consumer that is too slow also gets a new `Snapshot` in place of what it missed.
        `aclose()` on the iterator ends the watch.
        """
        ...

    async def ping(self) -> None:
        """Return when the coordinator answers; raise `CoordinationUnavailable` otherwise."""
        ...

    async def close(self) -> None:
        """End watches and connections; leases end by themselves. Twice is allowed."""
        ...
