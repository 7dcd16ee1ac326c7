"""Telling other workers which projects' models have moved, and hearing it from them.

It saves whoever predicts next from waiting until the new version is loaded. What is answered does
not hang on it: see `model_api.projects.served`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import msgspec
import structlog

from tally.coordination.base import Coordinator, Deleted, KeyValue, Put, Snapshot
from tally.wire.messages import MOVES, Moves
from tally.wire.projects import ProjectUuid

_TOLD = 64  # moves of one worker that others may hear of late, and still hear of
_log = structlog.get_logger()


class MovesHere:
    """What this worker tells: the value of its key.

    Args:
        changed: called whenever there is something new to tell.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._count = 0
        self._last: deque[ProjectUuid] = deque(maxlen=_TOLD)

    def add(self, project: ProjectUuid) -> None:
        """Tell that a project's models have moved."""
        self._count += 1
        self._last.append(project)
        self._changed()

    def value(self) -> bytes:
        """Return what stands in the key."""
        return msgspec.json.encode(Moves(self._count, tuple(self._last)))


class MovesElsewhere:
    """Follows what all workers tell, this one included.

    Args:
        coordinator: where they tell it.
        moved: called for each project whose models have moved.
    """

    def __init__(
        self, coordinator: Coordinator, moved: Callable[[ProjectUuid], Awaitable[None]]
    ) -> None:
        self._coordinator = coordinator
        self._moved = moved
        self._counts: dict[str, int] = {}

    async def run(self) -> None:
        """Follow until cancelled."""
        async with aclosing(self._coordinator.watch(MOVES)) as events:
            async for event in events:
                if isinstance(event, Snapshot):
                    self._counts = {k: n for k, n in self._counts.items() if k in event.items}
                    for item in event.items.values():
                        await self._take(item)
                elif isinstance(event, Deleted):
                    self._counts.pop(event.key, None)
                elif isinstance(event, Put):
                    await self._take(event.item)

    async def _take(self, item: KeyValue) -> None:
        try:
            told = msgspec.json.decode(item.value, type=Moves)
        except msgspec.MsgspecError as error:
            _log.warning("key cannot be read", key=item.key, reason=str(error))
            return
        known = self._counts.get(item.key, 0)
        self._counts[item.key] = told.count
        # A worker that has started again counts anew.
        new = told.count - known if told.count >= known else told.count
        for project in dict.fromkeys(told.last[-new:] if new else ()):
            await self._moved(ProjectUuid(project))
