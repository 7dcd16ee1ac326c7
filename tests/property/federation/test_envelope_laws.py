from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tally.federation.envelope import (
    Draft,
    Envelope,
    Reference,
    authenticate,
    object_key,
    open_payload,
    parse,
    seal,
)
from tally.federation.errors import EnvelopeRefused
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import MessageType, SyncInfo

KEYS = FederationKeys("laws", bytes(range(16)))
ALICE = Identity("a" * 32, bytes(range(32)))
CONTROL = [kind for kind in MessageType if kind is not MessageType.SYNC]
SYNC = SyncInfo(
    round=1, rows=9, attrs=4, schema_hash="", version="1-9", allow_explore=True, contract_hash="",
    provenance=(),
)  # fmt: skip
NUMBERS = st.integers(0, 2**62)

drafts = st.builds(
    Draft,
    type=st.sampled_from(CONTROL),
    to=st.sampled_from(["*", "b" * 32]),
    epoch=NUMBERS,
    seq=NUMBERS,
    ts=NUMBERS,
    payload=st.binary(max_size=200),
)


def opened(data: bytes) -> tuple[Envelope, bytes]:
    envelope = parse(data)
    authenticate(envelope, KEYS, ALICE.public)
    return envelope, open_payload(envelope, KEYS)


@given(drafts, st.booleans(), st.randoms(use_true_random=False))
def test_what_was_sealed_is_what_is_opened(draft: Draft, encrypt: bool, rng) -> None:  # type: ignore[no-untyped-def]
    sealed = seal(draft, KEYS, ALICE, rng.randbytes, encrypt=encrypt)
    envelope, payload = opened(sealed.data)
    header = envelope.header
    assert payload == draft.payload
    assert (header.type, header.to, header.epoch, header.seq, header.ts) == (
        draft.type, draft.to, draft.epoch, draft.seq, draft.ts,
    )  # fmt: skip


@given(drafts, st.booleans(), st.data())
def test_any_changed_byte_is_refused(draft: Draft, encrypt: bool, data: st.DataObject) -> None:
    sealed = bytearray(seal(draft, KEYS, ALICE, bytes, encrypt=encrypt).data)
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    try:
        opened(bytes(sealed))
    except EnvelopeRefused:
        return
    raise AssertionError(f"byte {place} was changed, and nobody noticed")


@given(drafts, st.data())
def test_what_was_cut_or_grew_is_refused(draft: Draft, data: st.DataObject) -> None:
    sealed = seal(draft, KEYS, ALICE, bytes, encrypt=False).data
    changed = data.draw(
        st.one_of(
            st.integers(0, len(sealed) - 1).map(lambda size: sealed[:size]),
            st.binary(min_size=1, max_size=9).map(lambda more: sealed + more),
        )
    )
    try:
        opened(changed)
    except EnvelopeRefused:
        return
    raise AssertionError("another length, and nobody noticed")


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(noise: bytes) -> None:
    for data in (noise, b"SFM1" + noise, b"SFM1\0\0\0\x10" + noise):
        try:
            parse(data)
        except EnvelopeRefused:
            continue
        raise AssertionError("noise was taken for an envelope")


@given(drafts)
def test_an_object_is_bound_to_its_envelope(draft: Draft) -> None:
    draft = replace(draft, type=MessageType.SYNC, sync=SYNC)
    reference = Reference("nats", object_key(ALICE.uuid, draft.epoch, draft.seq, "a1b2"))
    sealed = seal(draft, KEYS, ALICE, bytes, encrypt=True, reference=reference)
    envelope = parse(sealed.data)
    authenticate(envelope, KEYS, ALICE.public)
    assert open_payload(envelope, KEYS, sealed.body) == draft.payload
