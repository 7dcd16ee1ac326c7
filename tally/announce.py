"""Telling everybody in the coordinator what the store has decided."""

from __future__ import annotations

import msgspec

from tally.coordination.base import Coordinator, KeyValue
from tally.errors import CoordinationUnavailable
from tally.ids import ModelUuid
from tally.ledger.records import Head
from tally.ledger.versions import Versions
from tally.wire.messages import Announcement, version_key

_ROUNDS = 8


def read_announcement(item: KeyValue | None) -> Announcement | None:
    """Return the announcement in a key, None where there is none or it cannot be read."""
    if item is None:
        return None
    try:
        return msgspec.json.decode(item.value, type=Announcement)
    except msgspec.MsgspecError:
        return None  # of the original's tools, or of nobody: ours takes its place


def announcement(model: ModelUuid, head: Head) -> Announcement:
    """Return what is told of a head."""
    return Announcement(
        version=head.version,
        timestamp=head.moved_at,
        name=head.name,
        model=model,
        previous=head.previous,
        generation=head.generation,
        last_version=head.last_version,
        barrier=head.barrier_version,
        restored=head.restored,
    )


def ahead(told: Announcement, head: Head) -> bool:
    """Tell whether more was announced of a model than this head knows of."""
    if told.generation != head.generation or not told.timestamp:
        return told.generation > head.generation
    return (told.version, told.timestamp) != (head.version, head.moved_at)


async def announce_head(versions: Versions, coordinator: Coordinator, model: ModelUuid) -> bool:
    """Announce the head of a model as the store has it, also where the store was restored.

    An announcement that is ahead of the store is of a history that was lost with it: the head is
    lifted above that first, since everybody believes the highest generation.

    Returns:
        Whether the key was changed.

    Raises:
        CoordinationUnavailable: the coordinator is out of reach; a reconciler will repeat this.
    """
    head = await versions.head(model)
    if head is None:
        return False
    if await announce(coordinator, model, head):
        return True
    there = read_announcement(await coordinator.get(version_key(head.name)))
    if there is None or there.model != model or not ahead(there, head):
        return False
    lifted = await versions.outlive(
        model,
        generation=there.generation,
        moved_at=there.timestamp,
        last_version=max(there.version, there.last_version),
    )
    return lifted is not None and await announce(coordinator, model, lifted)


async def announce(coordinator: Coordinator, model: ModelUuid, head: Head) -> bool:
    """Put the head of a model into the coordinator, unless a newer one is there.

    Args:
        coordinator: where.
        model: that the name means now, as the store's registry says.
        head: as the store has it.

    Returns:
        Whether the key was changed.

    Raises:
        CoordinationUnavailable: the coordinator is out of reach; a reconciler will repeat this.
    """
    if head.deleted or head.version == 0:
        return False
    key = version_key(head.name)
    ours = announcement(model, head)
    for _ in range(_ROUNDS):
        item = await coordinator.get(key)
        there = read_announcement(item)
        if there and there.model == model and there.generation >= head.generation:
            return False
        revision = item.revision if item else 0
        if await coordinator.replace(key, msgspec.json.encode(ours), revision):
            return True
    raise CoordinationUnavailable(f"too many writers at {key!r}")


async def withdraw(coordinator: Coordinator, model: ModelUuid, name: str) -> None:
    """Remove the announcement of a model that was deleted, unless the name means another now."""
    key = version_key(name)
    for _ in range(_ROUNDS):
        item = await coordinator.get(key)
        there = read_announcement(item)
        if item is None or there is None or there.model != model:
            return
        if await coordinator.delete(key, item.revision):
            return
    raise CoordinationUnavailable(f"too many writers at {key!r}")
