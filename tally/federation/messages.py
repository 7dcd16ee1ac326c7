"""What peers tell each other: the types, and the payload of each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from tally.errors import InvalidInput
from tally.federation.errors import EnvelopeRefused
from tally.federation.privacy.reason import Reason

EVERYONE = "*"
MAX_PEERS = 1000
MAX_RULES = 10_000
MAX_CONTROL_BYTES = 1024 * 1024
"""Of a payload that is not statistics."""

MAX_TEXT_LENGTH = 4096
MAX_COUNT = 2**63 - 1
"""Of numbers in messages: what every reader can hold, so that none fails over a larger one."""

Uuid = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+\Z")]
Name = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
Text = Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class MessageType(StrEnum):
    """The types. Those of secure aggregation are apart."""

    JOIN = "JOIN"
    JOIN_ACK = "JOIN_ACK"
    ROSTER = "ROSTER"
    SYNC = "SYNC"
    ALIVE = "ALIVE"
    SYNC_BLOCKED = "SYNC_BLOCKED"
    SYNC_REQ = "SYNC_REQ"
    SCHED = "SCHED"
    CONTRACT = "CONTRACT"
    EXPLORE_REQ = "EXPLORE_REQ"
    EXPLORE_REP = "EXPLORE_REP"
    LEAVE = "LEAVE"
    DISSOLVE = "DISSOLVE"


ADMIN_ONLY = frozenset(
    {
        MessageType.JOIN_ACK,
        MessageType.ROSTER,
        MessageType.SCHED,
        MessageType.CONTRACT,
        MessageType.DISSOLVE,
    }
)
LAST_WORDS = frozenset({MessageType.ROSTER, MessageType.SCHED, MessageType.CONTRACT})
"""Of which the admin numbers each, and the transport keeps the last."""

ALWAYS_ENCRYPTED = frozenset({MessageType.JOIN, MessageType.JOIN_ACK})
EXPIRING = frozenset({MessageType.JOIN, MessageType.SYNC_REQ, MessageType.EXPLORE_REQ})
"""Requests that nobody waits for any more after `MAX_AGE_MS`."""


class Standing(StrEnum):
    """What the admin says of a peer.

    A peer that left without withdrawing is frozen: its last snapshot stays.
    """

    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    LEFT = "LEFT"


class AnyPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all payloads have in common: unknown keys are refused."""


class Leaf(AnyPayload, frozen=True):
    """Statistics of one source within a snapshot."""

    source_uuid: Uuid
    version: Annotated[str, Meta(max_length=64)]
    rows: Count


class SyncInfo(AnyPayload, frozen=True):
    """What the header of SYNC tells of the statistics that it carries."""

    round: Count
    rows: Count
    attrs: Count
    schema_hash: Annotated[str, Meta(max_length=64)]
    version: Annotated[str, Meta(max_length=64)]
    allow_explore: bool
    contract_hash: Annotated[str, Meta(max_length=64)]
    provenance: Annotated[tuple[Leaf, ...], Meta(max_length=100)]


class Member(AnyPayload, frozen=True):
    """One peer in the roster."""

    uuid: Uuid
    name: Name
    ed25519_pub: Annotated[str, Meta(max_length=64)]
    state: Standing = Standing.ACTIVE
    aws_id: Annotated[str, Meta(max_length=64)] | None = None


class RosterPayload(AnyPayload, frozen=True):
    """Who belongs to the federation."""

    admin_seq: Count
    peers: Annotated[tuple[Member, ...], Meta(max_length=MAX_PEERS)]


class SchedulePayload(AnyPayload, frozen=True):
    """When everyone synchronises, from `effective_at` (ms since 1970) on."""

    admin_seq: Count
    sync_sched: Annotated[str, Meta(max_length=16)]
    effective_at: Count


class ContractPayload(AnyPayload, frozen=True):
    """What every snapshot must satisfy."""

    admin_seq: Count
    rules: Annotated[tuple[Text, ...], Meta(max_length=MAX_RULES)]
    hash: Annotated[str, Meta(max_length=64)]


class JoinPayload(AnyPayload, frozen=True):
    """A node asks to become a peer; `hipaa`: it keeps the rules for health records."""

    fed_req_token: Annotated[str, Meta(max_length=64)]
    node_uuid: Uuid
    node_name: Name
    ed25519_pub: Annotated[str, Meta(max_length=64)]
    hipaa: bool = False
    aws_id: Annotated[str, Meta(max_length=64)] | None = None
    queue_arn: Annotated[str, Meta(max_length=512)] | None = None


class JoinAckPayload(AnyPayload, frozen=True):
    """The admin's answer; all but `error` is empty unless `ok`.

    Attributes:
        code: of the error, stable; empty if `ok`.
        admin_seq: of the roster, of the schedule, of the contract.
    """

    ok: bool
    error: Text = ""
    code: Annotated[str, Meta(max_length=64)] = ""
    roster: RosterPayload | None = None
    schedule: SchedulePayload | None = None
    contract: ContractPayload | None = None
    flags: dict[str, bool] = {}


class AlivePayload(AnyPayload, frozen=True):
    """Nothing changed since the snapshot of this version."""

    round: Count
    version: Annotated[str, Meta(max_length=64)]
    allow_explore: bool


class SyncBlockedPayload(AnyPayload, frozen=True):
    """There are changes that may not be shared; `version` is that of the last shared snapshot."""

    round: Count
    reason: Reason
    version: Annotated[str, Meta(max_length=64)] = ""


class SyncRequestPayload(AnyPayload, frozen=True):
    """Whoever is asked publishes its last approved snapshot again."""

    req_id: Uuid
    reason: Annotated[str, Meta(max_length=256)]


class ExploreRequestPayload(AnyPayload, frozen=True):
    """A question about the peer's own statistics; `context` is the edge's."""

    req_id: Uuid
    metric: Annotated[str, Meta(max_length=128)]
    context: dict[str, Any]


class ExploreReplyPayload(AnyPayload, frozen=True):
    """The answer."""

    req_id: Uuid
    ok: bool
    error: Text = ""
    result: Any = None


class LeavePayload(AnyPayload, frozen=True):
    """A peer goes; with `withdraw` its contribution goes too."""

    withdraw: bool


class DissolvePayload(AnyPayload, frozen=True):
    """The admin ends the federation."""


P = TypeVar("P", bound=AnyPayload)


def encode(payload: AnyPayload) -> bytes:
    """Return a payload as bytes.

    Raises:
        InvalidInput: it is larger than any receiver takes.

    Example:
        >>> encode(LeavePayload(withdraw=True))
        b'{"withdraw":true}'
    """
    data = msgspec.json.encode(payload, order="sorted")
    if len(data) > MAX_CONTROL_BYTES:
        reason = f"{len(data)} bytes; {MAX_CONTROL_BYTES} are allowed in one message"
        raise InvalidInput(type(payload).__name__, reason)
    return data


def decode(data: bytes, kind: type[P]) -> P:
    """Return the payload in these bytes.

    Raises:
        EnvelopeRefused: they are too many, or no payload of this kind.
    """
    if len(data) > MAX_CONTROL_BYTES:
        raise EnvelopeRefused(f"a payload of {len(data)} bytes; {MAX_CONTROL_BYTES} are allowed")
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError as error:
        raise EnvelopeRefused("the payload cannot be read: it is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EnvelopeRefused(f"the payload cannot be read: {error}") from error
