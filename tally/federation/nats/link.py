"""A peer in one connection: its place in the streams, and what it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from datetime import datetime
from typing import Literal

import nats.errors
import nats.js.errors
import structlog
from nats.aio.msg import Msg
from nats.js import api

from tally.federation.nats import failures
from tally.federation.nats.last_words import MAX_DELIVER, LastWords
from tally.federation.nats.names import Names, is_answer
from tally.federation.nats.objects import Objects
from tally.federation.nats.place import Place
from tally.federation.nats.session import Session
from tally.federation.transport import Delivery

_log = structlog.get_logger()

MAX_ASKED = 100
_MAX_ACK_PENDING = 1000
_TIDY_S = 10.0


class Link:
    """What stands while a connection stands.

    Args:
        session: the connection.
        names: of the federation.
        uuid: of the peer.
        ack_wait_s: after so long what was not acknowledged is delivered again.

    Attributes:
        session: the connection.
        objects: the object store.
        asked: questions from peers that were not looked at yet.
    """

    def __init__(self, session: Session, names: Names, uuid: str, ack_wait_s: float) -> None:
        self.session = session
        self.objects = Objects(session, names, uuid)
        self._client, self._jetstream = session.client, session.jetstream
        self.asked: deque[Msg] = deque()
        self._names = names
        self._uuid = uuid
        self._ack_wait_s = ack_wait_s
        self._arrival = asyncio.Event()
        consumer = names.consumer_of(uuid)
        self._control = Place(session.client, names.control, consumer, self._arrival)
        self._sync = Place(session.client, names.sync, consumer, self._arrival)
        self._words = LastWords(session.jetstream, names, ack_wait_s)

    async def begin(self) -> None:
        """Take up the peer's place in the streams, and listen for questions."""
        names = self._names
        await self._bind(names.control, api.DeliverPolicy.ALL)
        await self._bind(names.sync, api.DeliverPolicy.LAST_PER_SUBJECT)
        await self._control.begin()
        await self._sync.begin()
        await self._client.subscribe(names.state_of("*"), cb=self._hint)
        await self._client.subscribe(names.question_to(self._uuid, "*"), cb=self._ask)
        await self._control.ask()
        await self._sync.ask()
        # Before it answers this the server has told what of all that it denies.
        await self._jetstream.stream_info(names.state)

    async def poll(self, limit: int, timeout_s: float) -> list[Delivery]:
        """See `Transport.poll`."""
        self._arrival.clear()
        found = await self._collect(limit)
        failures.heed_cancellation()
        if not found and not self.asked and timeout_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._arrival.wait()
            found = await self._collect(limit)
        return found

    async def acknowledge(self, token: str) -> None:
        """See `Transport.acknowledge`."""
        if self._words.acknowledge(token):
            return
        with contextlib.suppress(nats.errors.NoRespondersError):
            await self._client.request(token, Msg.Ack.Ack, timeout=failures.ANSWER_S)

    async def close(self) -> None:
        """Disconnect; a poll that waits ends."""
        await self.session.close()
        self._arrival.set()

    async def clock_ms(self) -> int:
        """Return the broker's clock: of the server that writes on messages when they came."""
        subject = f"$JS.API.STREAM.INFO.{self._names.state}"
        answer = await self._client.request(subject, b"", timeout=failures.ANSWER_S)
        now: str | None = json.loads(answer.data).get("ts")
        if now is None:
            return await self._clock_before_2_10_ms()
        return int(datetime.fromisoformat(now).timestamp() * 1000)

    async def _clock_before_2_10_ms(self) -> int:
        """Return when the broker made a consumer, which is now."""
        made = await self._jetstream.add_consumer(
            self._names.state,
            api.ConsumerConfig(
                ack_policy=api.AckPolicy.NONE, mem_storage=True, inactive_threshold=_TIDY_S
            ),
        )
        with contextlib.suppress(nats.js.errors.NotFoundError):
            await self._jetstream.delete_consumer(self._names.state, made.name)
        return int(made.created.timestamp() * 1000)

    async def _bind(
        self,
        stream: str,
        policy: Literal[api.DeliverPolicy.ALL, api.DeliverPolicy.LAST_PER_SUBJECT],
    ) -> None:
        await self._jetstream.add_consumer(
            stream,
            api.ConsumerConfig(
                durable_name=self._names.consumer_of(self._uuid),
                deliver_policy=policy,
                ack_policy=api.AckPolicy.EXPLICIT,
                ack_wait=self._ack_wait_s,
                max_deliver=MAX_DELIVER,
                max_ack_pending=_MAX_ACK_PENDING,
                # Which the server needs to tell the subjects' last messages from each other.
                filter_subject=self._names.sync_of("*")
                if policy is api.DeliverPolicy.LAST_PER_SUBJECT
                else self._names.control_of("*"),
            ),
        )

    async def _collect(self, limit: int) -> list[Delivery]:
        await self._control.ask()
        await self._sync.ask()
        control = min(limit, len(self._control))
        sync = min(limit - control, len(self._sync))
        # After what has come of the others, so that it tells all that was said before them.
        words = await self._words.take()
        return [*words, *self._control.take(control), *self._sync.take(sync)]

    async def _hint(self, _: Msg) -> None:
        self._arrival.set()

    async def _ask(self, message: Msg) -> None:
        if len(self.asked) >= MAX_ASKED or not is_answer(message.reply):
            _log.warning("a question was dropped", waiting=len(self.asked), peer=self._uuid)
            return
        self.asked.append(message)
        self._arrival.set()
