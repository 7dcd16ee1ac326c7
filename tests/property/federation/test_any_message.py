"""Whatever a member signs is taken or refused; no message raises, and no record is spoiled."""

from __future__ import annotations

import asyncio
import random
from functools import cache

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tally.federation import messages, persistence
from tally.federation.contracting import hash_of
from tally.federation.envelope import Draft, seal
from tally.federation.events import Received
from tally.federation.messages import ADMIN_ONLY, ALWAYS_ENCRYPTED, MessageType, SyncInfo
from tally.federation.peer import Peer
from tally.federation.privacy.reason import Reason
from tally.federation.simulation.ledger import LedgerRules
from tally.federation.state import PeerState
from tests.federation.worlds import LedgerWorld, pulsing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
NUMBERS = st.sampled_from([0, 1, 2**31, 2**53, 2**63 - 1, 2**64])
TEXTS = st.sampled_from(["", "*", "m1", "h0", "1-50", "rows >= 3", "rows", f"{1:032x}", "€\n"])
UUIDS = st.sampled_from([f"{k:032x}" for k in range(1, 5)])
ANY_SYNC = st.builds(
    SyncInfo,
    round=NUMBERS, rows=NUMBERS, attrs=NUMBERS, schema_hash=TEXTS, version=TEXTS,
    allow_explore=st.booleans(), contract_hash=TEXTS,
    provenance=st.lists(
        st.builds(messages.Leaf, source_uuid=UUIDS, version=TEXTS, rows=NUMBERS), max_size=2
    ).map(tuple),
)  # fmt: skip

ROSTER = st.builds(
    messages.RosterPayload, admin_seq=NUMBERS,
    peers=st.lists(
        st.builds(
            messages.Member, uuid=UUIDS, name=TEXTS, ed25519_pub=TEXTS,
            state=st.sampled_from(messages.Standing),
        ),
        max_size=4,
    ).map(tuple),
)  # fmt: skip
SCHEDULE = st.builds(
    messages.SchedulePayload,
    admin_seq=NUMBERS, sync_sched=st.sampled_from(["m1", "h5", "h0", ""]), effective_at=NUMBERS,
)  # fmt: skip
RULES = st.sampled_from([(), ("rows >= 3",), ("rows >= 99",), ("no rule",)])
CONTRACT = st.builds(
    lambda seq, rules: messages.ContractPayload(seq, rules, hash_of(rules)), NUMBERS, RULES
)
FLAG = st.booleans()
GOOD = {
    MessageType.JOIN: st.builds(
        messages.JoinPayload, fed_req_token=TEXTS, node_uuid=UUIDS, node_name=TEXTS,
        ed25519_pub=TEXTS,
    ),
    MessageType.JOIN_ACK: st.builds(
        messages.JoinAckPayload, ok=FLAG, roster=ROSTER, schedule=SCHEDULE, contract=CONTRACT,
        flags=st.just({"fed_encrypt": False}),
    ),
    MessageType.ROSTER: ROSTER,
    MessageType.ALIVE: st.builds(
        messages.AlivePayload, round=NUMBERS, version=TEXTS, allow_explore=FLAG
    ),
    MessageType.SYNC_BLOCKED: st.builds(
        messages.SyncBlockedPayload, round=NUMBERS, version=TEXTS, reason=st.sampled_from(Reason)
    ),
    MessageType.SYNC_REQ: st.builds(messages.SyncRequestPayload, req_id=UUIDS, reason=TEXTS),
    MessageType.SCHED: SCHEDULE,
    MessageType.CONTRACT: CONTRACT,
    MessageType.EXPLORE_REQ: st.builds(
        messages.ExploreRequestPayload, req_id=UUIDS, metric=TEXTS,
        context=st.dictionaries(TEXTS, JSON, max_size=2),
    ),
    MessageType.EXPLORE_REP: st.builds(
        messages.ExploreReplyPayload, req_id=UUIDS, ok=FLAG, error=TEXTS, result=JSON
    ),
    MessageType.LEAVE: st.builds(messages.LeavePayload, withdraw=FLAG),
    MessageType.DISSOLVE: st.just(messages.DissolvePayload()),
}  # fmt: skip


@cache
def world() -> LedgerWorld:
    """Return three peers that have shared 50 rows each."""
    return asyncio.run(pulsing(3))


@st.composite
def payloads(draw: st.DrawFn, kind: MessageType) -> bytes:
    """Draw bytes that are near to what a type has, or far from it."""
    if kind is MessageType.SYNC:
        return draw(st.sampled_from([b'["a"]', b"[]", b'["a","a"]', b"", b"noise"]))
    told = msgspec.to_builtins(draw(GOOD[kind]))
    if draw(FLAG):
        told[draw(st.sampled_from([*told, "more"]))] = draw(JSON)
    return msgspec.json.encode(told)


@given(st.sampled_from(MessageType), st.data())
def test_no_message_of_a_member_raises_or_makes_a_record_that_cannot_be_read(
    kind: MessageType, data: st.DataObject
) -> None:
    by = data.draw(st.integers(0, 2)) if kind not in ADMIN_ONLY else 0
    to = data.draw(st.integers(0, 2))
    made = Draft(
        kind, data.draw(st.sampled_from(["*", world().nodes[to].uuid])), data.draw(NUMBERS),
        data.draw(NUMBERS), world().timeline.now_ms, data.draw(payloads(kind)),
        data.draw(ANY_SYNC) if kind is MessageType.SYNC else msgspec.UNSET,
    )  # fmt: skip
    identity, keys = world().nodes[by].identity, world().keys
    message = seal(made, keys, identity, bytes, encrypt=kind in ALWAYS_ENCRYPTED)
    after = handled(world().nodes[to].state, to, message.data)
    assert persistence.load(*persistence.dump(after)) == after


def handled(state: PeerState, number: int, data: bytes) -> PeerState:
    """Return a peer's state after a message, which may be answered."""
    identity, now_ms = world().nodes[number].identity, world().timeline.now_ms
    peer = Peer(world().keys, identity, LedgerRules(), random.Random(1).randbytes)
    return peer.step(state, Received(now_ms, data, now_ms, delivery="d", reply_to="r")).state
