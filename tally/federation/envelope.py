"""The envelope of every message: framed, authenticated twice, encrypted where asked for.

Layout: `SFM1` | length of the header (4 bytes, big-endian) | header | signature (64) | payload.
The header is JSON with sorted keys and no white space, and exactly one text is right for it. The
HMAC under the federation's key tells that a member wrote it, the Ed25519 signature tells which.
The header holds the payload's SHA-256, so both cover the payload as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import UNSET, Meta, UnsetType

from tally.federation.errors import EnvelopeRefused
from tally.federation.keys import SIGNATURE_BYTES, FederationKeys, Identity
from tally.federation.messages import Count, MessageType, SyncInfo, Uuid

MAGIC = b"SFM1"
VERSION = 1
MAX_HEADER_BYTES = 64 * 1024
MAX_PAYLOAD_BYTES = 256 * 1024 * 1024
"""Statistics of 2000 attributes take 64 MB."""

NONCE_BYTES = 12
TAG_BYTES = 16
_LENGTH_BYTES = 4
_UNSEALED = ("sha256", "size", "mac")
"""Header keys that are known only after the payload is encrypted, so do not bind to it."""

RandomBytes = Callable[[int], bytes]


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the payload is, if it is not in the envelope.

    Attributes:
        kind: `nats`, or another store of objects.
        key: of the object in it, `{sender}/{epoch}-{seq}`.
    """

    kind: Annotated[str, Meta(max_length=16)]
    key: Annotated[str, Meta(max_length=128)]


class Header(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"sender": "from"},
):
    """What is known of a message without its payload.

    Attributes:
        v: of the format.
        fid: of the federation.
        msg_id: unique; a message that is published again has another.
        sender, to: uuids of peers; `to` may be `*`.
        epoch, seq: order the messages of one sender.
        ts: milliseconds since 1970 by the sender's clock.
        nonce: base64 of 12 bytes; empty unless encrypted.
        sha256, size: of the payload as it travels.
        mac: HMAC-SHA256 of the header without it, in hex.
        sync: of statistics, what can be told without them; no other type has it.
    """

    v: Literal[1] = 1
    fid: Annotated[str, Meta(max_length=64)]
    type: MessageType
    msg_id: Annotated[str, Meta(max_length=32)]
    sender: Uuid
    to: Annotated[str, Meta(pattern=r"^(\*|[A-Za-z0-9_-]{1,64})\Z")]
    epoch: Count
    seq: Count
    ts: Count
    enc: Literal["none", "A256GCM"]
    nonce: Annotated[str, Meta(max_length=16)]
    sha256: Annotated[str, Meta(max_length=64)]
    size: Count
    ref: Reference | None
    mac: Annotated[str, Meta(max_length=64)]
    sync: SyncInfo | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is sealed; see `Header`."""

    type: MessageType
    to: str
    epoch: int
    seq: int
    ts: int
    payload: bytes
    sync: SyncInfo | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message as it travels.

    Attributes:
        data: the envelope; without the payload if the header refers to it.
        body: the payload as it travels.
        reference: where `body` must be put before `data` is published; None: it is in it.
    """

    data: bytes
    body: bytes
    reference: Reference | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message whose framing and header are well formed; nothing is authenticated yet."""

    header: Header
    header_bytes: bytes
    signature: bytes
    inline: bytes


def seal(
    draft: Draft,
    keys: FederationKeys,
    identity: Identity,
    random_bytes: RandomBytes,
    *,
    encrypt: bool,
    reference: Reference | None = None,
) -> Sealed:
    """Return a message as it travels.

    Args:
        draft: what to say.
        keys: of the federation.
        identity: of the sender.
        random_bytes: for the id and the nonce; must never repeat itself under one key.
        encrypt: whether only members can read the payload.
        reference: where the payload is going to be; None: in the envelope.

    Example:
        >>> import secrets
        >>> keys, alice = FederationKeys("f", bytes(16)), Identity("a" * 32, bytes(32))
        >>> draft = Draft(MessageType.LEAVE, "*", 1, 7, 0, b'{"withdraw":true}')
        >>> sealed = seal(draft, keys, alice, secrets.token_bytes, encrypt=True)
        >>> envelope = parse(sealed.data)
        >>> authenticate(envelope, keys, alice.public)
        >>> open_payload(envelope, keys)
        b'{"withdraw":true}'
    """
    nonce = random_bytes(NONCE_BYTES) if encrypt else b""
    header = Header(
        fid=keys.fid,
        type=draft.type,
        msg_id=random_bytes(16).hex(),
        sender=identity.uuid,
        to=draft.to,
        epoch=draft.epoch,
        seq=draft.seq,
        ts=draft.ts,
        enc="A256GCM" if encrypt else "none",
        nonce=base64.b64encode(nonce).decode(),
        sha256="",
        size=0,
        ref=reference,
        mac="",
        sync=draft.sync,
    )
    body = draft.payload
    if encrypt:
        body = AESGCM(keys.encryption).encrypt(nonce, body, _without(header, *_UNSEALED))
    digest = hashlib.sha256(body).hexdigest()
    header = msgspec.structs.replace(header, sha256=digest, size=len(body))
    header = msgspec.structs.replace(header, mac=_mac(header, keys))
    text = _encode(header)
    if len(text) > MAX_HEADER_BYTES or len(body) > MAX_PAYLOAD_BYTES:
        raise EnvelopeRefused(f"a message of {len(text)} and {len(body)} bytes is too large")
    parts = [MAGIC, len(text).to_bytes(_LENGTH_BYTES, "big"), text, identity.sign(text)]
    if reference is None:
        parts.append(body)
    return Sealed(b"".join(parts), body, reference)


def parse(data: bytes, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> Envelope:
    """Return a message whose form is right; who wrote it is `authenticate`'s to tell.

    Raises:
        EnvelopeRefused: it is cut, longer than it says, too large, or its header is not the one
            right text.
    """
    at = len(MAGIC) + _LENGTH_BYTES
    if len(data) < at or not data.startswith(MAGIC):
        raise EnvelopeRefused("the message does not begin as an envelope")
    length = int.from_bytes(data[len(MAGIC) : at], "big")
    if length > MAX_HEADER_BYTES:
        raise EnvelopeRefused(f"a header of {length} bytes; {MAX_HEADER_BYTES} are allowed")
    signed = at + length
    if len(data) < signed + SIGNATURE_BYTES:
        raise EnvelopeRefused("the message ends within its header or signature")
    text = data[at:signed]
    try:
        header = msgspec.json.decode(text, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EnvelopeRefused(f"the header cannot be read: {error}") from error
    # JSON has many texts for one value; duplicate keys could mean one thing here, another there.
    if _encode(header) != text:
        raise EnvelopeRefused("the header is not in its canonical form")
    if header.size > max_payload_bytes:
        reason = f"a payload of {header.size} bytes; {max_payload_bytes} are allowed"
        raise EnvelopeRefused(reason)
    if (header.type is MessageType.SYNC) != (header.sync is not UNSET):
        raise EnvelopeRefused("key [sync] belongs to SYNC, and to nothing else")
    if header.ref is not None and (
        header.type is not MessageType.SYNC or header.ref.key != _own_key(header, header.ref.key)
    ):
        raise EnvelopeRefused(f"{header.type.value} refers to an object that is not its own")
    inside = len(data) - signed - SIGNATURE_BYTES
    if inside != (header.size if header.ref is None else 0):
        raise EnvelopeRefused(f"the message carries {inside} bytes; its header tells another size")
    signature = data[signed : signed + SIGNATURE_BYTES]
    return Envelope(header, text, signature, data[signed + SIGNATURE_BYTES :])


def object_key(sender: str, epoch: int, seq: int, again: str) -> str:
    """Return where a peer puts the payload of the snapshot with this number.

    Args:
        sender, epoch, seq: of its envelope.
        again: a word of its own for each time that it is published.
    """
    return f"{sender}/{epoch}-{seq}-{again}"


def _own_key(header: Header, key: str) -> str:
    return object_key(header.sender, header.epoch, header.seq, key.rpartition("-")[2])


def from_text(text: str, *, max_bytes: int) -> Envelope:
    """Return the envelope in base64, as text transports carry it.

    Raises:
        EnvelopeRefused: as `parse`; also if the text is longer than so many bytes make it.
    """
    if len(text) > (max_bytes + 2) // 3 * 4:
        raise EnvelopeRefused(f"{len(text)} characters; {max_bytes} bytes are allowed")
    try:
        data = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise EnvelopeRefused("the message is not base64") from error
    return parse(data, max_payload_bytes=max_bytes)


def check_member(envelope: Envelope, keys: FederationKeys) -> None:
    """Check that somebody who has the federation's key wrote the header.

    Raises:
        EnvelopeRefused: it is of another federation, or the HMAC is wrong.
    """
    if envelope.header.fid != keys.fid:
        raise EnvelopeRefused(f"the message is of federation [{envelope.header.fid[:80]}]")
    if not hmac.compare_digest(envelope.header.mac.encode(), _mac(envelope.header, keys).encode()):
        raise EnvelopeRefused("the mac of the header is wrong")


def authenticate(envelope: Envelope, keys: FederationKeys, public: str) -> None:
    """Check that a member wrote the header, and that it was the one with this public key.

    Raises:
        EnvelopeRefused: the federation, the HMAC or the signature is wrong.
    """
    check_member(envelope, keys)
    check_signature(envelope, keys, public)


def check_signature(envelope: Envelope, keys: FederationKeys, public: str) -> None:
    """Check that the member with this public key wrote the header; `check_member` comes before.

    Raises:
        EnvelopeRefused: somebody else did.
    """
    if not keys.verify(public, envelope.signature, envelope.header_bytes):
        raise EnvelopeRefused("the signature of the header is wrong")


def open_payload(envelope: Envelope, keys: FederationKeys, body: bytes | None = None) -> bytes:
    """Return the payload of an authenticated message.

    Args:
        envelope: the message.
        keys: of the federation.
        body: the object that the header refers to; None where it refers to none.

    Raises:
        EnvelopeRefused: the payload is not the one that was signed, or cannot be decrypted.
    """
    header = envelope.header
    sent = envelope.inline if header.ref is None else body
    if sent is None:
        raise EnvelopeRefused("the object that the message refers to is not there")
    if len(sent) != header.size or hashlib.sha256(sent).hexdigest() != header.sha256:
        raise EnvelopeRefused("the payload does not match its checksum")
    if header.enc == "none":
        return sent
    try:
        nonce = base64.b64decode(header.nonce.encode(), validate=True)
        return AESGCM(keys.encryption).decrypt(nonce, sent, _without(header, *_UNSEALED))
    except (binascii.Error, UnicodeEncodeError, ValueError, InvalidTag) as error:
        raise EnvelopeRefused("the payload cannot be decrypted") from error


def _encode(header: Header) -> bytes:
    return msgspec.json.encode(header, order="sorted")


def _without(header: Header, *keys: str) -> bytes:
    fields = msgspec.to_builtins(header)
    for key in keys:
        del fields[key]
    return msgspec.json.encode(fields, order="sorted")


def _mac(header: Header, keys: FederationKeys) -> str:
    return hmac.new(keys.mac, _without(header, "mac"), hashlib.sha256).hexdigest()
