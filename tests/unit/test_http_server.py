from __future__ import annotations

import asyncio
import socket
from typing import Any

from tally.http_server import HttpServer, Receive, Scope, Send


async def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head() -> None:
    seen: list[int] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = HttpServer(app, "127.0.0.1", 0)
    running = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 204 No Content\r\n"
            for connection in _connections(server):
                accepted = connection.transport.get_extra_info("socket")
                seen.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
            await writer.wait_closed()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert seen == [1]


def _connections(server: HttpServer) -> list[Any]:
    return list(server._server.server_state.connections)
