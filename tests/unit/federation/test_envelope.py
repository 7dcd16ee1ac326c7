"""The envelope against what a member, a stranger, or a broken wire may send."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tally.federation.envelope import (
    MAGIC,
    MAX_HEADER_BYTES,
    Draft,
    Reference,
    authenticate,
    from_text,
    object_key,
    open_payload,
    parse,
    seal,
)
from tally.federation.errors import EnvelopeRefused
from tally.federation.keys import FederationKeys, Identity, verify
from tally.federation.messages import (
    AlivePayload,
    JoinPayload,
    MessageType,
    SyncInfo,
    decode,
    encode,
)

GOLDEN = Path(__file__).parents[2] / "golden"

KEYS = FederationKeys("my federation", bytes(range(16)))
ALICE = Identity("a" * 32, bytes(range(32)))
MALLORY = Identity("e" * 32, bytes(range(1, 33)))
PAYLOAD = encode(AlivePayload(round=7, version="3-12", allow_explore=True))
DRAFT = Draft(MessageType.ALIVE, "*", 1_700_000_000_000, 42, 1_700_000_123_456, PAYLOAD)

SYNC = replace(
    DRAFT,
    type=MessageType.SYNC,
    sync=SyncInfo(
        round=7, rows=9, attrs=4, schema_hash="", version="3-12", allow_explore=True,
        contract_hash="", provenance=(),
    ),
)  # fmt: skip
OWN_OBJECT = Reference("nats", object_key(ALICE.uuid, SYNC.epoch, SYNC.seq, "a1b2"))


def counting(size: int) -> bytes:
    return bytes(range(size))


def sealed(*, encrypt: bool = False) -> bytes:
    return seal(DRAFT, KEYS, ALICE, counting, encrypt=encrypt).data


@pytest.mark.parametrize(("name", "encrypt"), [("plain", False), ("encrypted", True)])
def test_envelopes_that_older_versions_wrote_are_read_for_ever(name: str, encrypt: bool) -> None:
    golden = (GOLDEN / f"envelope_{name}.v1.sfm").read_bytes()
    envelope = parse(golden)
    authenticate(envelope, KEYS, ALICE.public)
    assert open_payload(envelope, KEYS) == PAYLOAD
    assert sealed(encrypt=encrypt) == golden


def test_the_header_is_compact_json_with_sorted_keys_of_the_documented_names() -> None:
    text = parse(sealed()).header_bytes
    fields = json.loads(text)
    assert text == json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    assert set(fields) == {
        "v", "fid", "type", "msg_id", "from", "to", "epoch", "seq", "ts", "enc", "nonce",
        "sha256", "size", "ref", "mac",
    }  # fmt: skip


def test_the_federation_id_is_the_safe_name_and_the_hash_of_the_secret() -> None:
    assert KEYS.fid == "my_federation-be45cb26"
    assert FederationKeys("x/y" * 20, bytes(16)).fid.partition("-")[0] == ("x_y" * 14)[:40]


def test_an_encrypted_payload_cannot_be_seen() -> None:
    assert b"allow_explore" in sealed()
    assert b"allow_explore" not in sealed(encrypt=True)


def test_a_message_of_another_federation_is_refused() -> None:
    other = FederationKeys("my federation", bytes(16))
    with pytest.raises(EnvelopeRefused, match="is of federation"):
        authenticate(parse(sealed()), other, ALICE.public)


def test_a_member_cannot_sign_for_another() -> None:
    forged = seal(DRAFT, KEYS, MALLORY, counting, encrypt=False).data
    with pytest.raises(EnvelopeRefused, match="signature"):
        authenticate(parse(forged), KEYS, ALICE.public)


def test_an_eavesdropper_who_knows_the_name_cannot_make_the_mac() -> None:
    class Guess(FederationKeys):
        pass

    guess = Guess("my federation", bytes(16))
    guess.fid = KEYS.fid
    forged = seal(DRAFT, guess, ALICE, counting, encrypt=False).data
    with pytest.raises(EnvelopeRefused, match="mac"):
        authenticate(parse(forged), KEYS, ALICE.public)


def test_a_payload_stands_in_an_object_if_the_header_refers_to_it() -> None:
    message = seal(SYNC, KEYS, ALICE, counting, encrypt=True, reference=OWN_OBJECT)
    assert message.body not in message.data
    envelope = parse(message.data)
    authenticate(envelope, KEYS, ALICE.public)
    assert open_payload(envelope, KEYS, message.body) == PAYLOAD
    with pytest.raises(EnvelopeRefused, match="not there"):
        open_payload(envelope, KEYS)
    with pytest.raises(EnvelopeRefused, match="checksum"):
        open_payload(envelope, KEYS, message.body[:-1] + b"?")


@pytest.mark.parametrize(
    ("draft", "key"),
    [
        (DRAFT, OWN_OBJECT.key),
        (SYNC, object_key(ALICE.uuid, SYNC.epoch, SYNC.seq + 1, "a1b2")),
        (SYNC, f"{ALICE.uuid}/{SYNC.epoch}-{SYNC.seq}"),
        (SYNC, object_key(MALLORY.uuid, SYNC.epoch, SYNC.seq, "a1b2")),
    ],
    ids=["no snapshot", "another number", "no word of its own", "another peer"],
)
def test_a_message_refers_to_no_object_but_its_own(draft: Draft, key: str) -> None:
    reference = Reference("nats", key)
    message = seal(draft, KEYS, ALICE, counting, encrypt=False, reference=reference)
    with pytest.raises(EnvelopeRefused, match="refers to an object that is not its own"):
        parse(message.data)


def test_what_claims_to_be_huge_is_refused_by_its_claim() -> None:
    huge_header = MAGIC + (MAX_HEADER_BYTES + 1).to_bytes(4, "big") + bytes(100)
    with pytest.raises(EnvelopeRefused, match="header of 65537 bytes"):
        parse(huge_header)
    with pytest.raises(EnvelopeRefused, match="payload of 49 bytes; 10 are allowed"):
        parse(sealed(), max_payload_bytes=10)
    with pytest.raises(EnvelopeRefused, match="characters"):
        from_text("A" * 4000, max_bytes=1000)


def test_text_transports_carry_it_in_base64() -> None:
    text = base64.b64encode(sealed()).decode()
    assert from_text(text, max_bytes=10_000).header.seq == 42
    with pytest.raises(EnvelopeRefused, match="base64"):
        from_text(text + "?", max_bytes=10_000)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header | {"more": 1},
        lambda header: {key: header[key] for key in header if key != "nonce"},
        lambda header: header | {"type": "SHUTDOWN"},
        lambda header: header | {"seq": -1},
        lambda header: header | {"epoch": 2**63},
        lambda header: header | {"from": "a\nb"},
        lambda header: header | {"from": "a\n"},
        lambda header: header | {"to": "a" * 65},
        lambda header: header | {"fid": "a" * 65},
        lambda header: header | {"v": 2},
        lambda header: header | {"size": "0"},
        lambda header: header | {"sync": None},
    ],
    ids=[
        "unknown key",
        "missing key",
        "unknown type",
        "negative",
        "too high",
        "two lines",
        "one line",
        "long receiver",
        "long federation",
        "version",
        "text",
        "sync",
    ],
)
def test_a_header_of_another_shape_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    header = change(json.loads(parse(sealed()).header_bytes))
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(EnvelopeRefused):
        parse(MAGIC + len(text).to_bytes(4, "big") + text + ALICE.sign(text) + PAYLOAD)


@pytest.mark.parametrize("name", ["\x1b[31mred", "two\nlines", "x" * 257, "\x9b"])
def test_a_name_that_a_terminal_would_obey_is_refused(name: str) -> None:
    payload = JoinPayload("FEDTOKEN0123456789abcdef", ALICE.uuid, name, ALICE.public)
    with pytest.raises(EnvelopeRefused, match="node_name"):
        decode(encode(payload), JoinPayload)


def test_a_header_written_in_another_way_is_refused() -> None:
    text = msgspec.json.format(parse(sealed()).header_bytes, indent=1)
    with pytest.raises(EnvelopeRefused, match="canonical"):
        parse(MAGIC + len(text).to_bytes(4, "big") + text + ALICE.sign(text) + PAYLOAD)


def test_keys_do_not_show_themselves() -> None:
    assert repr(KEYS) == "FederationKeys(my_federation-be45cb26)"
    assert repr(ALICE) == f"Identity({'a' * 32})"
    assert not verify("not base64", bytes(64), b"")
