"""Which NATS lets a peer in, and what is said, and is not said, where none does."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import nkeys  # type: ignore[import-untyped]
import pytest
import structlog.testing

from tally.errors import InvalidInput
from tally.federation.nats.access import NatsAccess
from tally.federation.nats.transport import NatsTransport
from tally.federation.terms import Nats
from tally.federation.transport import TransportRefused, TransportUnavailable
from tests.federation.over_nats import access_to, admin_at, jetstream, new_identity, new_keys

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer

HUSH = "hush-hush"


def new_seed() -> bytes:
    return bytes(nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER))


def public_of(seed: bytes) -> str:
    return str(nkeys.from_seed(bytearray(seed)).public_key.decode())


def at(hosts: str, **more: Any) -> NatsTransport:
    access = NatsAccess.of(Nats(hosts=hosts, **more))
    return NatsTransport(access, new_keys(), new_identity(), admin=True)


async def assert_let_in(transport: NatsTransport) -> None:
    await transport.create()
    await transport.connect()
    assert await transport.now_ms() > 0
    await transport.dissolve()


@asynccontextmanager
async def listener(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any], host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """Give the `host:port` of something that listens."""
    async with await asyncio.start_server(serve, host, 0) as listening:
        yield f"{host}:{listening.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def relay(
    server: Server, host: str = "127.0.0.1", *, old: bytes = b"", new: bytes = b""
) -> AsyncIterator[str]:
    """Give the `host:port` of a relay to a server, which may replace some bytes on the way."""
    to, _, port = server.hosts[0].partition(":")
    sockets: list[asyncio.StreamWriter] = []

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data.replace(old, new) if old else data)
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection(to, int(port))
        sockets.extend((writer, there))
        await asyncio.gather(copy(reader, there), copy(back, writer))

    async with listener(serve, host) as address:
        yield address
    for socket in sockets:
        with contextlib.suppress(ConnectionError):
            await socket.wait_closed()


SEED, OTHER_SEED = new_seed(), new_seed()
CREDENTIALS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "user": (
        "authorization { users: [{ user: u, password: p }] }",
        {"user": "u", "password": "p"},
        {"user": "u", "password": HUSH},
    ),
    "token": ('authorization { token: "t" }', {"token": "t"}, {"token": HUSH}),
    "nkey": (
        f"authorization {{ users: [{{ nkey: {public_of(SEED)} }}] }}",
        {"nkey_seed": f"{SEED.decode()}\n"},
        {"nkey_seed": OTHER_SEED.decode()},
    ),
}


@pytest.mark.parametrize("kind", CREDENTIALS)
async def test_the_right_credentials_let_in_and_others_are_refused_and_not_shown(
    kind: str, start_server: StartServer
) -> None:
    line, right, wrong = CREDENTIALS[kind]
    server = start_server("nats", extra=[line])
    await assert_let_in(admin_at(server, **right))
    with structlog.testing.capture_logs() as lines:
        for given in (wrong, {}):
            transport = admin_at(server, **given)
            for call in (transport.create, transport.connect, transport.dissolve):
                with pytest.raises(TransportRefused, match="refuses our credentials") as caught:
                    await call()
                shown = f"{caught.value!r} {caught.value.__cause__!r} {transport!r} {lines}"
                for secret in (HUSH, OTHER_SEED.decode()):
                    assert secret not in shown
                    assert secret not in repr(access_to(server, **given))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"hosts": " , "}, "nats_hosts"),
        ({"hosts": f"nats://me:{HUSH}@host"}, "nats_hosts"),
        ({"hosts": "http://host"}, "nats_hosts"),
        ({"hosts": "nats://host:99999"}, "nats_hosts"),
        ({"hosts": "nats://host/path"}, "nats_hosts"),
        ({"hosts": "tls://a,nats://b"}, "nats_hosts"),
        ({"hosts": ",".join(["a"] * 17)}, "nats_hosts"),
        ({"hosts": "a", "nkey_seed": f"SU{HUSH}"}, "nats_sec_nkey_seed"),
        ({"hosts": "a", "memory_bytes": 1000}, "nats_stream_max_memory"),
    ],
)
def test_what_cannot_be_used_is_refused_by_the_name_of_its_key(
    given: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput, match=field) as caught:
        NatsAccess.of(Nats(**given))
    assert HUSH not in str(caught.value)


async def test_over_tls_a_server_of_a_trusted_authority_is_used_and_another_refused(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server("nats", tls=True, auth=True)
    login: dict[str, Any] = {"user": server.user, "password": server.password}
    await assert_let_in(admin_at(server, **login))
    unknown = at(server.url, **login)
    with pytest.raises(TransportUnavailable, match="certificate verify failed") as caught:
        await unknown.create()
    assert server.hosts[0] in str(caught.value)
    # Without a file of ours it is OpenSSL that says whom it trusts.
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
    await assert_let_in(at(server.url, **login))
    # And it believes a certificate only of the host that it names.
    async with relay(server, "127.0.0.2") as address:
        with pytest.raises(TransportUnavailable, match=r"verify failed.*127\.0\.0\.2"):
            await at(f"tls://{address}", **login).create()


async def test_a_server_without_jetstream_is_refused(start_server: StartServer) -> None:
    line = "accounts { bare { users: [{ user: u, password: p }] } }"
    server = start_server("nats", extra=[line])
    transport = admin_at(server, user="u", password="p")
    for call in (transport.create, transport.connect):
        with pytest.raises(TransportRefused, match="JetStream; is it on"):
            await call()


async def test_a_server_that_has_all_the_clients_it_wants_says_so(
    start_server: StartServer,
) -> None:
    server = start_server("nats", extra=["max_connections: 1"])
    transport = admin_at(server)
    async with jetstream(server):
        with pytest.raises(TransportUnavailable, match=r"max_connections|maximum connections"):
            await transport.create()


async def test_of_several_servers_the_first_that_answers_is_used(nats_server: Server) -> None:
    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listener(stay_silent) as silent:
        with pytest.raises(TransportUnavailable, match="no answer within") as caught:
            await at(silent).create()
        assert silent in str(caught.value)
        # They are tried in any order, so a server that is never tried would be seen by chance.
        hosts = ",".join([silent, "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", *nats_server.hosts])
        await assert_let_in(at(hosts))


async def test_a_broker_that_stops_answering_is_given_up(private_nats: Server) -> None:
    transport = admin_at(private_nats)
    await transport.create()
    await transport.connect()
    await asyncio.to_thread(private_nats.pause)
    try:
        with pytest.raises(TransportUnavailable, match=r"no answer|timeout"):
            await transport.now_ms()
        with pytest.raises(TransportUnavailable, match="connection to NATS is lost"):
            await transport.now_ms()
    finally:
        await asyncio.to_thread(private_nats.resume)
    await transport.connect()
    await transport.dissolve()


async def test_a_server_that_does_not_tell_its_time_is_asked_in_another_way(
    nats_server: Server,
) -> None:
    new = admin_at(nats_server)
    await new.create()
    await new.connect()
    async with relay(nats_server, old=b'"ts":', new=b'"xx":') as address:  # as before 2.10
        old = at(address)
        await old.create()
        await old.connect()
        before_ms, old_ms, after_ms = await new.now_ms(), await old.now_ms(), await new.now_ms()
        assert before_ms <= old_ms <= after_ms
        await old.dissolve()
    await new.dissolve()
