"""Puts the signed API together."""

from __future__ import annotations

import asyncio
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import structlog

from broker.edge.symetry.app import Bounds, RestApp
from broker.edge.symetry.call import JSON, Call
from broker.edge.symetry.gate import Gate
from broker.edge.symetry.handlers import Handlers
from broker.edge.symetry.job_desk import JobDesk
from broker.edge.symetry.jobs import JobRunner, Limits
from broker.edge.symetry.room import Room
from broker.edge.symetry.socket import Socket
from broker.metrics import HOME_RETRIES
from broker.settings import BrokerSettings
from tally.clock import Clock
from tally.http_server import Receive, Scope, Send
from tally.master_key import MasterKey, master_key
from tally.projects.jobs import Fate, Jobs, fate
from tally.projects.projects import Projects
from tally.routing.follow import Follower
from tally.routing.home_call import HomeCaller
from tally.routing.homes import Homes
from tally.store.base import Store
from tally.user_keys import UserKeys
from tally.users import Users
from tally.wire.envelope import refusal
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode

PREFIX = "/symetry/"

_BEAT_S, _DEAD_AFTER_S = 2.0, 15.0
_FIRST_MESSAGE_S = 30.0
_NO_KEY = "neither TALLY_MASTER_KEY nor TALLY_MASTER_KEY_FILE is set"
_log = structlog.get_logger()


class Signed(Protocol):
    """What answers under `/symetry`."""

    async def run(self) -> None:
        """Do what is to be done besides, until cancelled."""
        ...

    async def answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        """Answer one request, or one connection of a WebSocket."""
        ...


class Closed:
    """Stands where customers' keys cannot be read; forecasts are served all the same."""

    async def run(self) -> None:
        """Wait until cancelled."""
        _log.warning("the signed API is closed", reason=_NO_KEY)
        await asyncio.Event().wait()

    async def answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        """Refuse."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1013})
            return
        error = Refused(f"The signed API is closed: {_NO_KEY}", StatusCode.SERVICE_UNAVAILABLE)
        body = refusal(error)
        headers = [
            (b"content-type", JSON.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Symetry:
    """Everything under `/symetry`, and the jobs behind it.

    Args:
        settings: ours.
        store: of customers, projects and jobs.
        master: opens the customers' keys.
        follower: knows the workers.
        session: HTTP client for asking them.
        token: that they want to see.
        clock: of everything.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        store: Store,
        master: MasterKey,
        follower: Follower,
        session: aiohttp.ClientSession,
        token: str,
        clock: Clock,
    ) -> None:
        self._users = Users(store, master, clock)
        origin = settings.public_origin.rstrip("/")
        keys = UserKeys(self._users, clock)
        gate = Gate(keys, clock, origin)
        caller = HomeCaller(follower, session, token, settings.max_snapshot_bytes)
        homes = Homes(follower, caller, clock, HOME_RETRIES.inc)
        handlers = Handlers(
            Projects(store, clock), homes, keys, master, settings.max_snapshot_bytes
        )
        room = Room(settings.bodies_bytes)
        jobs = Jobs(store, clock, keep_s=settings.job_keep_s, limit=settings.jobs_kept)
        limits = Limits(settings.jobs_parallel, settings.jobs_waiting, beat_s=_BEAT_S)
        self._runner = JobRunner(jobs, self._users, room, clock, limits)

        async def told(project: ProjectUuid, batch_id: str) -> Fate:
            return await fate(store, project, batch_id)

        async def stop(call: Call, project: ProjectUuid, batch_id: str) -> bool:
            return await handlers.stop(call, project, batch_id, settings.project_wait_s)

        desk = JobDesk(
            jobs, self._runner, told, stop, clock, beat_s=_BEAT_S, dead_after_s=_DEAD_AFTER_S
        )
        bounds = Bounds(
            settings.max_body_bytes,
            settings.body_wait_s,
            settings.project_wait_s,
            settings.job_wait_s,
        )
        self._rest = RestApp(gate, handlers, self._runner, desk, room, bounds, origin)
        self._socket = Socket(
            gate,
            handlers,
            room,
            connections=settings.socket_connections,
            message_bytes=settings.socket_message_bytes,
            first_wait_s=_FIRST_MESSAGE_S,
            home_wait_s=settings.project_wait_s,
        )

    async def run(self) -> None:
        """Look after jobs until cancelled.

        Raises:
            ConfigurationError: the master key is not the one that the customers' keys need.
        """
        await self._users.check_master_key()
        await self._runner.run()

    async def answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        """Answer one request, or one connection of a WebSocket."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._rest.answer(scope, receive, send, request_id)


def signed_api(
    settings: BrokerSettings,
    store: Store,
    follower: Follower,
    session: aiohttp.ClientSession,
    token: str,
    clock: Clock,
) -> Signed:
    """Return what answers under `/symetry`.

    Raises:
        ConfigurationError: the master key cannot be used.
    """
    given = settings.master_key.get_secret_value() or settings.master_key_file
    if not given and urlsplit(settings.store()).scheme != "sqlite":
        return Closed()
    return Symetry(settings, store, master_key(settings), follower, session, token, clock)
