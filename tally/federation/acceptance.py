"""Whether a message that came is what it claims to be, and news.

The order matters: nothing of a message is believed before its keys are checked, and a message
that is refused leaves no mark, so that the true one can still come.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tally.federation import messages
from tally.federation.envelope import (
    Header,
    check_member,
    check_signature,
    open_payload,
    parse,
)
from tally.federation.errors import EnvelopeRefused, UnknownSender
from tally.federation.events import Received
from tally.federation.messages import (
    ADMIN_ONLY,
    ALWAYS_ENCRYPTED,
    EVERYONE,
    EXPIRING,
    LAST_WORDS,
    JoinPayload,
    MessageType,
    Standing,
    SyncInfo,
)
from tally.federation.state import Mark, PeerState, Row, digest_of
from tally.federation.transition import Transition

MAX_BEHIND_MS = 300_000
MAX_AHEAD_MS = 60_000
MAX_AGE_MS = 300_000

_UNORDERED = frozenset(
    {
        MessageType.JOIN,
        MessageType.JOIN_ACK,
        MessageType.EXPLORE_REQ,
        MessageType.EXPLORE_REP,
    }
)
"""These are told apart by token or request id, and two of one sender may overtake each other."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message to act on."""

    header: Header
    payload: bytes


def accept(step: Transition, event: Received) -> Accepted | None:
    """Return the message to act on; None: it is a repetition, expired, or not for us.

    Of our own messages, only the admin's words on the state of the federation are to act on.

    Raises:
        EnvelopeRefused: it is to be refused, which the message explains.
    """
    envelope = parse(event.data)
    header = envelope.header
    check_member(envelope, step.keys)
    if header.sender == step.settings.uuid:
        check_signature(envelope, step.keys, step.identity.public)
        notice_our_future(step, event.now_ms, (header.epoch, header.seq))
        _notice_our_clock(step, header, event)
        # An admin that was restored from a backup hears its own last words as everyone does.
        if header.type in LAST_WORDS and step.settings.is_admin:
            return Accepted(header, open_payload(envelope, step.keys))
        return None
    if header.to not in (EVERYONE, step.settings.uuid):
        return None
    sealed = step.settings.encrypt or header.type in ALWAYS_ENCRYPTED
    if sealed and header.enc == "none":
        raise EnvelopeRefused(f"{header.type.value} from peer [{header.sender}] is not encrypted")
    if header.type is MessageType.JOIN:
        # Verified with the key that it carries: it proves possession, the token gives the right.
        payload = open_payload(envelope, step.keys, event.body)
        check_signature(envelope, step.keys, messages.decode(payload, JoinPayload).ed25519_pub)
    else:
        check_signature(envelope, step.keys, _public_key(step, header))
        if _is_known(step.state, header):
            return None
        payload = open_payload(envelope, step.keys, event.body)
    _check_clock(header, event.broker_ms)
    if header.type in EXPIRING and event.now_ms - header.ts > MAX_AGE_MS:
        return None
    if not _mark(step, header, payload):
        return None
    return Accepted(header, payload)


def _public_key(step: Transition, header: Header) -> str:
    admin = step.settings.admin
    if header.type in ADMIN_ONLY and header.sender != admin:
        raise EnvelopeRefused(f"{header.type.value} from peer [{header.sender}], not the admin")
    if header.sender == admin:
        return step.settings.admin_public
    member = step.state.member(header.sender)
    if member is None:
        raise UnknownSender(header.sender)
    if member.state is Standing.LEFT:
        raise EnvelopeRefused(f"peer [{header.sender}] has left")
    return member.ed25519_pub


def _skew_s(header: Header, broker_ms: int) -> int | None:
    """Return how far a sender's clock is from the broker's; None: near enough."""
    skew_ms = header.ts - broker_ms
    return None if -MAX_BEHIND_MS <= skew_ms <= MAX_AHEAD_MS else round(skew_ms / 1000)


def _check_clock(header: Header, broker_ms: int) -> None:
    if (skew_s := _skew_s(header, broker_ms)) is not None:
        raise EnvelopeRefused(f"Clock skew from peer [{header.sender}]: {skew_s}s")


def _last(state: PeerState, header: Header) -> Mark | None:
    if header.type in _UNORDERED:
        return None
    return state.marks.get(header.sender, {}).get(header.type)


def needs_object(state: PeerState, header: Header) -> bool:
    """Tell whether a message that refers to an object can only be judged together with it."""
    return header.sender != state.settings.uuid and not _is_known(state, header)


def _is_known(state: PeerState, header: Header) -> bool:
    """Tell whether a message is no news by its header alone.

    It is older than the last of its kind; or it refers to an object and tells of it just what it
    told when that was taken. What has its payload with it is compared to the last byte instead.
    """
    last, number = _last(state, header), (header.epoch, header.seq)
    if last is None or number > (last.epoch, last.seq):
        return False
    if number < (last.epoch, last.seq):
        return True
    held = state.rows.get(header.sender, Row()).newest
    if header.ref is None or held is None or (held.epoch, held.seq) != number:
        return False
    return isinstance(header.sync, SyncInfo) and held.info == msgspec.structs.replace(
        header.sync, allow_explore=held.info.allow_explore
    )


def _mark(step: Transition, header: Header, payload: bytes) -> bool:
    """Remember the message as the sender's last of its type; tell whether it is news."""
    if header.type in _UNORDERED:
        return True
    digest, last = digest_of(payload), _last(step.state, header)
    if last is not None and (header.epoch, header.seq) == (last.epoch, last.seq):
        if digest != last.digest:
            raise EnvelopeRefused(
                f"peer [{header.sender}] sent two different {header.type.value} "
                f"numbered {header.epoch}-{header.seq}"
            )
        return False
    marks = {**step.state.marks.get(header.sender, {})}
    marks[header.type] = Mark(header.epoch, header.seq, digest)
    step.change(marks={**step.state.marks, header.sender: marks})
    return True


def _notice_our_clock(step: Transition, header: Header, event: Received) -> None:
    """Say everything again once our clock is right, if it was wrong: nobody has taken it."""
    skew_s = _skew_s(header, event.broker_ms)
    if skew_s is None and step.state.unheard:
        step.change(unheard=False, again_ms=event.now_ms)
    elif skew_s is not None and not step.state.unheard:
        step.change(unheard=True)
        step.error(f"Clock skew of this node: {skew_s}s; the others take nothing that it sends")


def notice_our_future(step: Transition, now_ms: int, seen: tuple[int, int]) -> None:
    """Begin a new epoch if we sent what we do not know of: our record is an older one."""
    if seen > (step.state.epoch, step.state.seq):
        new_epoch(step, now_ms, seen[0])


def new_epoch(step: Transition, now_ms: int, seen_epoch: int) -> None:
    """Number messages from 1 again, in an epoch above all that anybody has seen of us."""
    step.change(epoch=max(now_ms, seen_epoch + 1, step.state.epoch + 1), seq=0)
