"""Servers that others named: which of them are connected to, and what is told of the rest."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import nats.errors
import nkeys  # type: ignore[import-untyped]
import pytest

from tally.errors import QueueUnavailable
from tally.fitqueue.nats_connection import NatsOptions, close, connect
from tally.networks import Networks

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer

LOOPBACK = Networks.parse("127.0.0.0/8")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Listener:
    """Something that listens on this machine.

    Attributes:
        port: where.
        asked: how often it was connected to.
    """

    port: int
    asked: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def listener(talk: Talk, host: str = "127.0.0.1") -> AsyncIterator[Listener]:
    """Run one that talks so to whoever connects."""

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.asked += 1
        try:
            await talk(reader, writer)
            await reader.read()  # until the other side leaves
        except OSError:
            pass
        finally:
            writer.close()
            made.left.set()

    async with await asyncio.start_server(met, host, 0) as server:
        made = Listener(server.sockets[0].getsockname()[1])
        yield made


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Listen only."""


async def chat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.internal ESMTP\r\n")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def told(url: str, networks: Networks) -> str:
    """Return what is told of a server that does not let us in, without its URL."""
    with pytest.raises(QueueUnavailable) as raised:
        await connect(NatsOptions((url,), networks=networks))
    return str(raised.value).removeprefix(f"NATS: {url}: ")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::ffff:7f00:1]", "127.1", "0.0.0.0"])
async def test_what_listens_on_this_machine_is_not_connected_to(name: str) -> None:
    async with listener(chat) as inner:
        reason = await told(f"nats://{name}:{inner.port}", Networks())
        assert reason == "its address is not among the allowed networks"
        assert inner.asked == 0


async def test_what_else_is_there_is_not_told() -> None:
    async with listener(chat) as talking, listener(say_nothing) as silent:
        urls = [f"nats://127.0.0.1:{port}" for port in (talking.port, silent.port, free_port())]
        reasons = {await told(url, LOOPBACK) for url in urls}
    assert reasons == {"no NATS server that would talk to us answers there"}


@pytest.mark.parametrize("name", ["no-such-name.invalid", "x" * 70, "a..b"])
async def test_a_name_that_nobody_has_is_not_known(name: str) -> None:
    assert await told(f"nats://{name}:4222", Networks()) == "its name is not known"


async def test_what_a_name_means_later_is_not_connected_to(
    nats_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(nats_server.hosts[0].rpartition(":")[2])
    asked: list[str] = []
    real = socket.getaddrinfo

    def moving(host: Any, *more: Any, **options: Any) -> Any:
        if host == "rebind.example":
            asked.append(host)
            host = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", moving)
    client = await connect(NatsOptions((f"nats://rebind.example:{port}",), networks=LOOPBACK))
    assert client.connected_url is not None
    assert client.connected_url.hostname == "127.0.0.1"
    assert len(asked) == 1
    await close(client)


async def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server("nats", tls=True)
    port = int(server.hosts[0].rpartition(":")[2])
    options = NatsOptions((f"tls://localhost:{port}",), ca_file=server.ca_file, networks=LOOPBACK)
    await close(await connect(options))
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **named: real(
            "127.0.0.1" if host == "other.example" else host, *more, **named
        ),
    )
    with pytest.raises(QueueUnavailable):
        await connect(
            NatsOptions((f"tls://other.example:{port}",), ca_file=server.ca_file, networks=LOOPBACK)
        )


@pytest.mark.parametrize("begun", [b"MSG x 1 99999999999\r\n", b"INFO {", b"x"])
async def test_what_a_server_sends_is_bounded(begun: bytes) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload":1000}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n" + begun)
        while True:
            writer.write(bytes(2**16))
            await writer.drain()

    async with asyncio.timeout(10), listener(flood) as liar:
        options = NatsOptions((f"nats://127.0.0.1:{liar.port}",), networks=LOOPBACK)
        client = await connect(options)
        await liar.left.wait()  # since the client has closed the connection
        await close(client)


@pytest.mark.parametrize(
    "info",
    [
        b"[]",
        b'{"connect_urls":5}',
        b'{"max_payload":"x"}',
        b'{"max_payload":1}',
        b'{"nonce":5,"auth_required":true}',
        b'{"a":' * 3000,
    ],
)
async def test_a_server_that_says_nonsense_is_no_nats_server(info: bytes) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO " + info + b"\r\n")
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")

    seed = nkeys.encode_seed(bytes(32), nkeys.PREFIX_BYTE_USER).decode()
    async with listener(greet) as liar:
        options = NatsOptions((f"nats://127.0.0.1:{liar.port}",), nkey_seed=seed, networks=LOOPBACK)
        with pytest.raises(QueueUnavailable, match="no NATS server that would talk to us"):
            await connect(options)


@pytest.mark.parametrize("info", [b"{", b"5", b'{"connect_urls":5}', b"[" * 30_000])
async def test_a_server_that_says_nonsense_later_is_left(info: bytes) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO {}\r\n")
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\nINFO " + info + b"\r\n")

    async with asyncio.timeout(4), listener(greet) as liar:  # before it would miss a pong
        client = await connect(NatsOptions((f"nats://127.0.0.1:{liar.port}",), networks=LOOPBACK))
        await liar.left.wait()
        await close(client)


async def test_servers_that_a_server_tells_of_are_not_connected_to() -> None:
    async with listener(say_nothing) as trap:

        async def lure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            info = {"max_payload": 1000, "connect_urls": [f"127.0.0.1:{trap.port}"]}
            writer.write(f"INFO {json.dumps(info)}\r\n".encode())
            await reader.readuntil(b"PING\r\n")
            writer.write(b"PONG\r\n")
            await writer.drain()
            writer.close()

        async with listener(lure) as liar:
            url = f"nats://127.0.0.1:{liar.port}"
            client = await connect(NatsOptions((url,), networks=LOOPBACK))
            await liar.left.wait()
            with pytest.raises(nats.errors.Error):
                await client.request("anybody", b"", timeout=0.3)
            await close(client)
        assert trap.asked == 0
