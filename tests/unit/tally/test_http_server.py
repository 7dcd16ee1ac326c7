from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tally.errors import ConfigurationError
from tally.http_server import HttpServer, Receive, Scope, Send


class Slow:
    """Answers once it is told to.

    Attributes:
        asked: set when a request has come in.
        go: lets it be answered.
    """

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole"})


async def test_a_request_under_way_is_finished_before_the_server_ends() -> None:
    app = Slow()
    server = HttpServer(app, "127.0.0.1", 0)
    serving = asyncio.create_task(server.run())
    async with aiohttp.ClientSession() as session:

        async def ask() -> bytes:
            async with session.get(f"http://127.0.0.1:{server.port}/") as response:
                return await response.read()

        asking = asyncio.create_task(ask())
        await app.asked.wait()
        serving.cancel()
        await asyncio.sleep(0.05)
        assert not serving.done()
        app.go.set()
        assert await asking == b"whole"
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_the_port_is_free_again_afterwards() -> None:
    server = HttpServer(Slow(), "127.0.0.1", 0)
    serving = asyncio.create_task(server.run())
    await asyncio.sleep(0.05)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    again = HttpServer(Slow(), "127.0.0.1", server.port)
    assert again.port == server.port
    again._socket.close()


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    first = HttpServer(Slow(), "127.0.0.1", 0)
    with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{first.port}"):
        HttpServer(Slow(), "127.0.0.1", first.port)
    first._socket.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "::2", "no such host"])
async def test_an_address_that_is_not_ours_is_a_sentence(host: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        HttpServer(Slow(), host, 0)
