from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import nkeys  # type: ignore[import-untyped]
import pytest
import structlog.testing

from tally.errors import QueueUnavailable
from tally.fitqueue.base import FitQueue
from tally.ids import new_fit_id, new_model_uuid

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer
    from tests.integration.nats.conftest import OpenQueue

SECRET = "hunter2hunter2"


def new_seed(kind: int) -> bytes:
    return bytes(nkeys.encode_seed(os.urandom(32), kind))


def public_key(seed: bytes) -> str:
    return str(nkeys.from_seed(bytearray(seed)).public_key.decode())


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


async def assert_works(queue: FitQueue) -> None:
    fit = new_fit_id(new_model_uuid())
    await queue.publish(fit, 1)
    ticket = await queue.take(10)
    assert ticket is not None
    assert ticket.fit == fit
    await ticket.done()
    assert await queue.depth() == 0


async def assert_refused(queue: FitQueue) -> None:
    for call in (queue.ping(), queue.take(1), queue.publish(new_fit_id(new_model_uuid()), 1)):
        with pytest.raises(QueueUnavailable, match="refuses our credentials") as caught:
            await call
        assert SECRET not in repr(caught.value)


async def test_user_and_password_over_tls(
    start_server: StartServer, open_client: OpenQueue
) -> None:
    server = start_server("nats", tls=True, auth=True)
    right = {"user": server.user, "password": server.password, "ca_file": server.ca_file}
    await assert_works(open_client(server.url, **right))
    await assert_refused(open_client(server.url, **{**right, "password": SECRET}))
    await assert_refused(open_client(server.url, ca_file=server.ca_file))
    with pytest.raises(QueueUnavailable, match="certificate verify failed"):
        await open_client(server.url, user="test", password="test").ping()


async def test_certificates_on_both_sides(
    start_server: StartServer, open_client: OpenQueue
) -> None:
    server = start_server("nats", mtls=True)
    right = {
        "ca_file": server.ca_file,
        "cert_file": server.cert_file,
        "key_file": server.key_file,
    }
    await assert_works(open_client(server.url, **right))
    with pytest.raises(QueueUnavailable):
        await open_client(server.url, ca_file=server.ca_file).ping()


async def test_a_token(start_server: StartServer, open_client: OpenQueue) -> None:
    server = start_server("nats", extra=['authorization { token: "a-token" }'])
    await assert_works(open_client(server.url, token="a-token"))
    await assert_refused(open_client(server.url, token=SECRET))


async def test_an_nkey(start_server: StartServer, open_client: OpenQueue, tmp_path: Path) -> None:
    seed = new_seed(nkeys.PREFIX_BYTE_USER)
    server = start_server(
        "nats", extra=[f"authorization {{ users: [{{ nkey: {public_key(seed)} }}] }}"]
    )
    await assert_works(open_client(server.url, nkey_file=write(tmp_path / "right", seed + b"\n")))
    other = write(tmp_path / "wrong", new_seed(nkeys.PREFIX_BYTE_USER))
    await assert_refused(open_client(server.url, nkey_file=other))


def signed(claims: Mapping[str, object], issuer: bytes, subject: bytes, kind: str) -> str:
    """Return a JWT as the `nsc` tool makes them, for NATS servers in operator mode."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    body = {
        "iat": 1_700_000_000,
        "iss": public_key(issuer),
        "sub": public_key(subject),
        "name": kind,
        "nats": {"type": kind, "version": 2, **claims},
    }
    digest = hashlib.sha256(json.dumps(body).encode()).digest()
    body["jti"] = base64.b32encode(digest).decode().rstrip("=")
    head = encode(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    text = f"{head}.{encode(json.dumps(body).encode())}"
    return f"{text}.{encode(nkeys.from_seed(bytearray(issuer)).sign(text.encode()))}"


async def test_a_credentials_file(
    start_server: StartServer, open_client: OpenQueue, tmp_path: Path
) -> None:
    operator = new_seed(nkeys.PREFIX_BYTE_OPERATOR)
    account, system = (new_seed(nkeys.PREFIX_BYTE_ACCOUNT) for _ in range(2))
    user = new_seed(nkeys.PREFIX_BYTE_USER)
    unlimited = {"subs": -1, "data": -1, "payload": -1}
    connections = {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}
    jetstream = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}

    def preload(seed: bytes, limits: Mapping[str, object]) -> str:
        claims = {"limits": {**unlimited, **connections, **limits}}
        return f"{public_key(seed)}: {signed(claims, operator, seed, 'account')}"

    server = start_server(
        "nats",
        extra=[
            f"operator: {signed({}, operator, operator, 'operator')}",
            "resolver: MEMORY",
            f"resolver_preload: {{ {preload(account, jetstream)}, {preload(system, {})} }}",
            f"system_account: {public_key(system)}",
        ],
    )

    def credentials(name: str, issuer: bytes) -> Path:
        jwt = signed(unlimited, issuer, user, "user")
        text = (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.decode()}\n------END USER NKEY SEED------\n"
        )
        return write(tmp_path / name, text.encode())

    await assert_works(open_client(server.url, credentials_file=credentials("right", account)))
    stranger = credentials("wrong", new_seed(nkeys.PREFIX_BYTE_ACCOUNT))
    await assert_refused(open_client(server.url, credentials_file=stranger))


async def test_a_password_never_travels_in_the_clear_when_tls_was_asked_for(
    open_client: OpenQueue,
) -> None:
    heard = b""

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        # What a forger on the way would send: a NATS server that knows no TLS.
        writer.write(b'INFO {"server_id":"x","version":"2.15.1","auth_required":true}\r\n')
        heard += await reader.read()
        writer.close()

    async with await asyncio.start_server(pretend, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        queue = open_client(f"tls://127.0.0.1:{port}", user="u", password=SECRET)
        with pytest.raises(QueueUnavailable, match="does not offer TLS"):
            await queue.ping()
    assert heard == b""


async def test_a_server_without_jetstream_is_told_from_one_out_of_reach(
    start_server: StartServer, open_client: OpenQueue
) -> None:
    server = start_server(
        "nats",
        extra=["accounts { bare { users: [{ user: u, password: p }] } }"],
    )
    queue = open_client(server.url, user="u", password="p")
    with pytest.raises(QueueUnavailable, match="JetStream"):
        await queue.ping()


async def test_a_server_from_before_2_10_is_warned_of_once(
    nats_server: Server, open_client: OpenQueue
) -> None:
    host, _, port = nats_server.hosts[0].partition(":")
    sockets: list[asyncio.StreamWriter] = []

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data.replace(b'"version":"2.15.1"', b'"version":"2.9.10"'))
        target.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection(host, int(port))
        sockets.extend((writer, there))
        await asyncio.gather(copy(reader, there), copy(back, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as listener:
        old = listener.sockets[0].getsockname()[1]
        queue = open_client(f"nats://127.0.0.1:{old}/{uuid.uuid4().hex}")
        with structlog.testing.capture_logs() as lines:
            await queue.ping()
            await queue.ping()
        await queue.close()
    warned = [line for line in lines if line["log_level"] == "warning"]
    assert [line["version"] for line in warned] == ["2.9.10"]
    for socket in sockets:
        await socket.wait_closed()
