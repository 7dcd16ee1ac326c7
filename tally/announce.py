"""Telling everybody in the coordinator what the store has decided."""

from __future__ import annotations

import msgspec

from tally.coordination.base import Coordinator, KeyValue
from tally.errors import CoordinationUnavailable
from tally.ids import ModelUuid
from tally.ledger.records import Head
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
    ours = Announcement(
        head.version, head.moved_at, head.name, model, head.previous, head.generation
    )
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
    there = read_announcement(await coordinator.get(key))
    if there is not None and there.model == model:
        await coordinator.delete(key)
