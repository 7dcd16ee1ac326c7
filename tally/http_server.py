"""Serving an ASGI application as one task among others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from tally.errors import ConfigurationError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


class HttpServer:
    """An HTTP server that is bound from the start and serves while `run` is awaited.

    Args:
        app: the ASGI application.
        host, port: where to listen; port 0 takes any free one.
        socket_message_bytes: the longest message over a WebSocket; 0: there are no WebSockets.

    Raises:
        ConfigurationError: the address is taken or not ours.
    """

    def __init__(
        self, app: AsgiApp, host: str, port: int, *, socket_message_bytes: int = 0
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # The protocol is named because asyncio sends small answers at once only where it can see
        # that it is TCP; else the head waits for the peer's delayed acknowledgement, 40 ms.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen(2048)
        except OSError as error:
            self._socket.close()
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}; is something else using it?"
            ) from error
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=5,
                timeout_keep_alive=75,
                ws="auto" if socket_message_bytes else "none",
                ws_max_size=socket_message_bytes,
                ws_per_message_deflate=False,
            )
        )

    async def run(self) -> None:
        """Serve until cancelled; requests under way are finished first."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        try:
            await asyncio.shield(serving)
        finally:
            self._server.should_exit = True
            await serving
            self._socket.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to the process, which may run several servers.
        yield
