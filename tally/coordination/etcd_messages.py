"""What etcd says, as values of ours: the only place that looks into its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aetcd import rpc

from tally.coordination.base import Deleted, KeyValue, Put
from tally.coordination.prefixes import end_of

RevisedChange = tuple[int, Put | Deleted]
"""A change with its revision, which several keys share that were changed at once."""


@dataclass(frozen=True, slots=True)
class Header:
    """Where the history stood when etcd answered."""

    revision: int
    term: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The items that a range held, in order of their keys."""

    header: Header
    items: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class WatchMessage:
    """What etcd said on a watch stream.

    Attributes:
        created: a watch that we asked for stands.
        cancelled: why a watch was ended, if it was.
        compacted: it was ended because its revision was compacted away.
        changes: in order.
    """

    created: bool
    cancelled: str | None
    compacted: bool
    changes: tuple[RevisedChange, ...]


def answer_of(answer: Any, header: Any = None) -> Answer:
    """Translate a `RangeResponse`; within a transaction only the whole has a full header."""
    header = header or answer.header
    position = Header(int(header.revision), int(header.raft_term))
    return Answer(position, tuple(_item(kv) for kv in answer.kvs))


def watch_message_of(message: Any) -> WatchMessage:
    """Translate a `WatchResponse`."""
    changes: list[RevisedChange] = []
    for event in message.events:
        revision = int(event.kv.mod_revision)
        deleted = event.type == rpc.Event.DELETE
        changes.append(
            (revision, Deleted(_text(event.kv.key)) if deleted else Put(_item(event.kv)))
        )
    return WatchMessage(
        created=bool(message.created),
        cancelled=(message.cancel_reason or "no reason given") if message.canceled else None,
        compacted=message.compact_revision != 0,
        changes=tuple(changes),
    )


def _item(kv: Any) -> KeyValue:
    return KeyValue(_text(kv.key), bytes(kv.value), int(kv.mod_revision))


def _text(key: bytes) -> str:
    # Other programs may put what they like into etcd; a key of theirs must not end our watch.
    return key.decode(errors="surrogateescape")


def prefix_range(prefix: str) -> Any:
    """Return a `RangeRequest` for all keys under a prefix."""
    start = prefix.encode()
    return rpc.RangeRequest(key=start or b"\0", range_end=end_of(start))
