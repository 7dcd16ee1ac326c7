"""What a shard tells the home of its project."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from model_api.projects.calls import BYTES, Answer, Call
from model_api.projects.homes import Homes
from model_api.projects.versions import contribution
from model_api.shards.fence import Raise, read_number
from tally.codec import project as projects
from tally.errors import CorruptState, IdempotencyMismatch
from tally.fusion.sources import Contribution
from tally.projects.records import Batch, Use

STATISTICS, USES, KNOWS = "shardStatistics", "shardUses", "shardKnows"
"""Verbs: the statistics since a version, the log, and whether a batch id was counted."""

_SIZE_BYTES = 4


class ShardHead(msgspec.Struct, frozen=True):
    """What a shard's statistics are.

    Attributes:
        source: its uuid.
        version: of its statistics.
        modified_ms: when it last learned or forgot, in milliseconds since 1970.
        modified: they are not those that the asker has; else no bytes follow.
    """

    source: str
    version: str
    modified_ms: int
    modified: bool


def unpack(data: bytes) -> tuple[ShardHead, Contribution | None]:
    """Return what `shardStatistics` answered; the statistics only if they are others.

    Raises:
        CorruptState: it is cut or changed.
    """
    end = _SIZE_BYTES + int.from_bytes(data[:_SIZE_BYTES], "little")
    try:
        head = msgspec.json.decode(data[_SIZE_BYTES:end], type=ShardHead)
    except msgspec.MsgspecError as error:
        raise CorruptState(f"what a shard told cannot be read: {error}") from error
    if not head.modified:
        return head, None
    part = projects.decode(data[end:])
    if part.forgotten is None:
        raise CorruptState(f"shard {head.source} told of a whole project")
    return head, Contribution.of(head.source, head.version, part)


def unpack_uses(data: bytes) -> list[Use]:
    """Return what `shardUses` answered."""
    return msgspec.json.decode(data, type=list[Use])


class Telling:
    """Answers the home of a shard's project.

    Args:
        homes: the shards at home here.
    """

    def __init__(self, homes: Homes) -> None:
        self._homes = homes
        self.verbs: Mapping[str, Callable[[Call], Awaitable[Answer]]] = {
            STATISTICS: self._statistics,
            USES: self._uses,
            KNOWS: self._knows,
        }

    async def _statistics(self, call: Call) -> Answer:
        if (fence := read_number(call.fence)) is not None:
            await self._homes.change(call.project, Raise(fence), "", call.suspects)
        home = await self._homes.ask(call.project, call.suspects)
        given = contribution(home)
        modified = call.query.get("since", "") != given.version
        told = ShardHead(given.source, given.version, home.modified_ms, modified)
        head = msgspec.json.encode(told)
        size = len(head).to_bytes(_SIZE_BYTES, "little")
        if not modified:
            return Answer(size + head, content_type=BYTES)
        data = await self._homes.threads.run(projects.encode, given.project)
        return Answer(b"".join((size, head, data)), content_type=BYTES)

    async def _uses(self, call: Call) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        return Answer(msgspec.json.encode(home.uses.all()))

    async def _knows(self, call: Call) -> Answer:
        home = await self._homes.ask(call.project, call.suspects)
        try:
            known = home.has_counted(Batch(call.query.get("id", ""), ""))
        except IdempotencyMismatch:
            known = True  # for some change, which is all that is asked
        return Answer(msgspec.json.encode(known))
