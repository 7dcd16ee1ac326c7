"""A peer's place in a stream: a durable consumer, and what it has sent us already."""

from __future__ import annotations

import asyncio
import json
from collections import deque

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import api

from tally.federation.nats import failures
from tally.federation.transport import Delivery, TransportUnavailable

BATCH = 64
_PULL_S = 30.0
_ENDED = (api.StatusCode.NO_MESSAGES.value, api.StatusCode.REQUEST_TIMEOUT.value)


class Place:
    """Keeps one request for messages open, so that what comes between two polls is not missed.

    A request that is withdrawn loses what the server sent meanwhile, until that is sent again a
    minute later; so none is ever withdrawn while the connection stands.

    Args:
        client: connected.
        stream, consumer: which exist.
        arrival: set when there is something to do.
    """

    def __init__(self, client: Client, stream: str, consumer: str, arrival: asyncio.Event) -> None:
        self._client = client
        self._stream = stream
        self._pull = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._arrival = arrival
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._come: deque[Msg] = deque()
        self._open = 0
        self._until = 0.0
        self._failure = ""

    async def begin(self) -> None:
        """Listen for what the consumer sends."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._receive)

    async def ask(self) -> None:
        """See to it that a request is open.

        Raises:
            TransportUnavailable: the consumer is gone, or silent for too long.
        """
        now = asyncio.get_running_loop().time()
        if self._failure:
            raise TransportUnavailable(f"NATS, stream {self._stream}: {self._failure}")
        if self._open and now > self._until:
            raise TransportUnavailable(f"NATS, stream {self._stream}: the server has fallen silent")
        room = BATCH - len(self._come)
        if self._open or room <= 0:
            return
        self._open, self._until = room, now + _PULL_S + failures.ANSWER_S
        ask = {"batch": room, "expires": int(_PULL_S * 1e9)}
        await self._client.publish(self._pull, json.dumps(ask).encode(), reply=self._inbox)

    def __len__(self) -> int:
        return len(self._come)

    def take(self, limit: int) -> list[Delivery]:
        """Return what has come, oldest first."""
        return [_delivery(self._come.popleft()) for _ in range(min(limit, len(self._come)))]

    async def _receive(self, message: Msg) -> None:
        status = (message.headers or {}).get(api.Header.STATUS.value)
        if status is None:
            self._come.append(message)
            self._open = max(0, self._open - 1)
        elif status in _ENDED:
            self._open = 0
        else:
            # The consumer or its stream is gone, or has no leader just now.
            told = (message.headers or {}).get(api.Header.DESCRIPTION.value)
            self._failure = told or "nobody serves it"
        self._arrival.set()


def _delivery(message: Msg) -> Delivery:
    took_ms = int(message.metadata.timestamp.timestamp() * 1000)
    return Delivery(message.data, took_ms, message.reply)
