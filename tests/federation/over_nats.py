"""Peers over a real NATS, and looks into it past them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import nats
from nats.js import JetStreamContext

from tally.federation.envelope import Draft, Reference, Sealed, seal
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import MessageType, SyncInfo
from tally.federation.nats.access import NatsAccess
from tally.federation.nats.transport import NatsTransport
from tally.federation.terms import Nats

if TYPE_CHECKING:
    from tests.conftest import Server

MEBIBYTE = 1024 * 1024


def new_keys() -> FederationKeys:
    return FederationKeys("over nats", secrets.token_bytes(16))


def new_identity() -> Identity:
    return Identity(secrets.token_hex(16), secrets.token_bytes(32))


def access_to(server: Server, **more: Any) -> NatsAccess:
    """Return the access to a server; see `terms.Nats`."""
    return NatsAccess.of(Nats(hosts=server.url, **more), ca_file=server.ca_file)


def admin_at(server: Server, keys: FederationKeys | None = None, **more: Any) -> NatsTransport:
    """Return the transport of an admin, not connected."""
    return NatsTransport(access_to(server, **more), keys or new_keys(), new_identity(), admin=True)


def message(
    keys: FederationKeys,
    identity: Identity,
    kind: MessageType = MessageType.ALIVE,
    *,
    to: str = "*",
    payload: bytes = b"{}",
) -> Sealed:
    draft = Draft(kind, to, 1, 1, 0, payload)
    return seal(draft, keys, identity, secrets.token_bytes, encrypt=False)


def snapshot(
    keys: FederationKeys, identity: Identity, body: bytes, seq: int = 1, *, inline: bool = False
) -> Sealed:
    """Return a snapshot that goes into an object, or into its message."""
    info = SyncInfo(
        round=1, rows=1, attrs=1, schema_hash="", version="1-1", allow_explore=True,
        contract_hash="", provenance=(),
    )  # fmt: skip
    draft = Draft(MessageType.SYNC, "*", 1, seq, 0, body, info)
    reference = Reference("nats", f"{identity.uuid}/1-{seq}-{secrets.token_hex(4)}")
    where = None if inline else reference
    return seal(draft, keys, identity, secrets.token_bytes, encrypt=True, reference=where)


@asynccontextmanager
async def jetstream(server: Server) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(f"nats://{server.hosts[0]}")
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def streams(server: Server, keys: FederationKeys) -> list[str]:
    """Return the streams of a federation that a server has."""
    async with jetstream(server) as js:
        names = [str(info.config.name) for info in await js.streams_info()]
    return [name for name in names if keys.fid in name]
