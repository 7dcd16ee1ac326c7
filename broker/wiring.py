"""Puts a broker together; it runs until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import aiohttp

from broker.app import create_app
from broker.edge.auth import Tokens
from broker.edge.symetry.wiring import signed_api
from broker.hints import Hints
from broker.routing.announce import Announcer
from broker.routing.forward import Forwarder
from broker.services import Services
from broker.settings import BrokerSettings
from tally.addresses import is_loopback
from tally.backends import Backends, shared_or_own
from tally.clock import SystemClock
from tally.errors import ConfigurationError
from tally.http_server import HttpServer
from tally.internal_token import internal_token
from tally.ledger import Ledger
from tally.routing.follow import Follower
from tally.wire.socket_frames import MAX_HEADER

_CONNECTIONS = 256


class Broker:
    """A broker.

    Args:
        settings: ours.
        shared: the backends of other services in this process; None: it opens its own.
    """

    def __init__(self, settings: BrokerSettings, shared: Backends | None = None) -> None:
        self._settings = settings
        self._shared = shared

    async def run(self, ready: Callable[[int], None] = lambda _port: None) -> None:
        """Serve until cancelled.

        Args:
            ready: told the port once it is open.

        Raises:
            ConfigurationError: the settings do not allow to start.
        """
        settings, clock = self._settings, SystemClock()
        tokens = Tokens(settings.api_tokens.get_secret_value())
        check_exposure(settings, tokens)
        token = internal_token(settings)
        async with AsyncExitStack() as opened:
            own = shared_or_own(self._shared, settings)
            backends = await opened.enter_async_context(own)
            store = await backends.store()
            coordinator, queue = backends.coordinator(), backends.queue()
            session = await opened.enter_async_context(_session(_CONNECTIONS))
            ledger = Ledger(store, clock)
            follower = Follower(coordinator, clock, grace_s=2 * settings.lease_ttl_s)
            announcer = Announcer(ledger, coordinator, follower, settings.announce_every_s)
            forwarder = Forwarder(
                follower,
                ledger,
                session,
                token,
                clock,
                wait_s=settings.forecast_wait_s,
                cache_bytes=settings.forecast_cache_bytes,
            )
            hints = Hints(queue)
            # Calls to homes take long: they have connections of their own, and count themselves.
            calls = await opened.enter_async_context(_session(0))
            signed = signed_api(settings, store, follower, calls, token, clock)
            services = Services(
                settings,
                ledger,
                queue,
                hints,
                coordinator,
                follower,
                forwarder,
                announcer,
                tokens,
                clock,
                signed,
            )
            server = HttpServer(
                create_app(services),
                settings.host,
                settings.port,
                socket_message_bytes=settings.socket_message_bytes + MAX_HEADER,
            )
            # Once one of these ends by an error the process does, too: see `run_until_stopped`.
            async with asyncio.TaskGroup() as group:
                group.create_task(follower.run())
                group.create_task(announcer.run())
                group.create_task(hints.run())
                group.create_task(signed.run())
                group.create_task(server.run())
                ready(server.port)


def _session(limit: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=limit, keepalive_timeout=60)
    # Answers go through as they are, so nobody needs to unpack them.
    return aiohttp.ClientSession(connector=connector, auto_decompress=False)


def check_exposure(settings: BrokerSettings, tokens: Tokens) -> None:
    """Refuse to serve strangers by accident.

    Raises:
        ConfigurationError: the address is not loopback, and there are no tokens.
    """
    if tokens or settings.api_open or is_loopback(settings.host):
        return
    raise ConfigurationError(
        f"{settings.host} can be reached from other machines: set TALLY_API_TOKENS "
        "(name:token), or TALLY_API_OPEN=true (--open) to let everybody in"
    )
