"""The fit queue in NATS JetStream: a work-queue stream and one consumer that all workers share.

Both are made where they are missing, also when the server lost its store while we were
connected. What the stream has lost is lost: the reconciler publishes it again from the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from tally.errors import QueueUnavailable
from tally.fitqueue.base import Ticket
from tally.fitqueue.nats_connection import NatsOptions, close, connect
from tally.ids import FitId

T = TypeVar("T")

_log = structlog.get_logger()

_ANSWER_S = 2.0
_HINT_S = 3.0
_PULL_S = 10.0  # a server that falls silent is noticed after this and _ANSWER_S
_RETRY_S = 0.5
_DEDUP_S = 120.0
_CONSUMER = "fit-workers"
_MAX_TICKETS = 1_000_000
_MAX_TICKET_BYTES = 1024
_MAX_HELD = 10_000  # being worked on, or waiting out a delay
_REPLICAS_REFUSED = 10074  # the server's code: it is not part of a cluster
_FIT_ID = re.compile(rb"[0-9a-f]{32}\.[0-9a-f]{16}")

_NOT_THERE = (
    nats.errors.NoRespondersError,
    nats.js.errors.NoStreamResponseError,
    nats.js.errors.NotFoundError,
    nats.js.errors.ServiceUnavailableError,
)


class JetStreamQueue:
    """See `tally.fitqueue.base.FitQueue` for what the methods promise.

    It connects at the first use, and again at the next use after the connection was lost.

    Args:
        options: where NATS is, and who we are.
        name: of this installation; its stream is `NAME-fits`, the subject `NAME.fits`.
        redeliver_after_s: how long a ticket may be neither renewed nor done.
    """

    def __init__(
        self, options: NatsOptions, *, name: str = "tally", redeliver_after_s: float = 30.0
    ) -> None:
        self._options = options
        self._stream = f"{name}-fits"
        self._subject = f"{name}.fits"
        self._redeliver_after_s = redeliver_after_s
        self._replicas = 3 if len(options.servers) >= 3 else 1
        self._client: Client | None = None
        self._opening: asyncio.Task[Client] | None = None
        self._refused_until = 0.0
        self._refusal = ""
        self._warned = False
        self._history = ""
        self._closed = False

    async def publish(self, fit: FitId, attempt: int) -> None:
        """Add a ticket; the same fit and attempt within two minutes is added once."""

        async def send(client: Client) -> None:
            await _jetstream(client).publish(
                self._subject,
                fit.encode(),
                stream=self._stream,
                headers={api.Header.MSG_ID.value: f"{fit}:{attempt}"},
            )

        await self._call(send)

    async def take(self, wait_s: float) -> Ticket | None:
        """Return the next ticket, None if none came within `wait_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            message = await self._call(lambda client: self._pull(client, deadline - loop.time()))
            if message is not None and _FIT_ID.fullmatch(message.data):
                return JetStreamTicket(self, message, self._history)
            if message is not None:
                _log.warning(
                    "dropped a message that is not a ticket",
                    stream=self._stream,
                    size_bytes=len(message.data),
                )
                await self.tell(message.reply, Msg.Ack.Term, self._history)
            elif loop.time() >= deadline:
                return None

    async def depth(self) -> int:
        """Return how many tickets are waiting or being worked on."""

        async def ask(client: Client) -> int:
            return (await _jetstream(client).stream_info(self._stream)).state.messages

        return await self._call(ask)

    async def ping(self) -> None:
        """Return when the queue answers."""
        await self.depth()

    async def close(self) -> None:
        """Release the connection."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._client is not None:
            await close(self._client)

    async def tell(self, reply: str, word: bytes, history: str) -> None:
        """Say what became of a delivery; a hint, so it never raises.

        Args:
            reply: the delivery's address. It counts messages, so in another history of the
                stream it may be that of somebody else's ticket.
            word: one of the protocol's.
            history: the stream that the delivery came from.
        """

        async def send(client: Client) -> None:
            if history == self._history:
                await client.request(reply, word, timeout=_ANSWER_S)

        try:
            async with asyncio.timeout(_HINT_S):
                await self._call(send)
        except (QueueUnavailable, TimeoutError) as error:
            _log.info("the fit queue was not told", reason=str(error))

    async def _pull(self, client: Client, wait_s: float) -> Msg | None:
        # By hand, because nats-py's fetch stops listening at the moment at which the server
        # stops sending: a ticket on its way just then would be nobody's until redelivery.
        # With an inbox for each call, a caller that gives up withdraws its request.
        wait_s = min(wait_s, _PULL_S)
        ask: dict[str, object] = {"batch": 1, "no_wait": True}
        if wait_s > 0.001:
            ask = {"batch": 1, "expires": int(wait_s * 1e9)}
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox)
        try:
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{_CONSUMER}"
            await client.publish(subject, json.dumps(ask).encode(), reply=inbox)
            message = await subscription.next_msg(max(0.0, wait_s) + _ANSWER_S)
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
        status = (message.headers or {}).get(api.Header.STATUS.value)
        if status is None:
            return message
        if status in (api.StatusCode.NO_MESSAGES.value, api.StatusCode.REQUEST_TIMEOUT.value):
            return None
        raise nats.errors.NoRespondersError  # the consumer is gone, or has no leader just now

    async def _call(self, operation: Callable[[Client], Awaitable[T]]) -> T:
        client = await self._connected()
        try:
            try:
                return await operation(client)
            except _NOT_THERE:
                await self._prepare(client)
                return await operation(client)
        except (nats.errors.Error, OSError) as error:
            if isinstance(error, TimeoutError):
                # Silence may mean half a connection; the next call tries a fresh one.
                await close(client)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # nats-py takes a cancellation for its own where the connection closes as well.
                raise asyncio.CancelledError from error
            raise QueueUnavailable(f"NATS, stream {self._stream}: {error}") from error

    async def _connected(self) -> Client:
        if self._closed:
            raise QueueUnavailable("the fit queue is closed")
        if self._client is not None and self._client.is_connected:
            return self._client
        if self._opening is None:
            # Otherwise each of many callers would wait for a time-out of its own.
            if asyncio.get_running_loop().time() < self._refused_until:
                raise QueueUnavailable(self._refusal)
            self._opening = asyncio.ensure_future(self._open())
            # Its callers may all have given up by the time it fails.
            self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Client:
        try:
            client = await connect(self._options)
            try:
                await self._prepare(client)
            except BaseException:
                await close(client)
                raise
        except (QueueUnavailable, nats.errors.Error, OSError) as error:
            self._refused_until = asyncio.get_running_loop().time() + _RETRY_S
            self._refusal = str(error)
            raise QueueUnavailable(self._refusal) from error
        finally:
            self._opening = None
        self._client = client
        self._warn_if_old(client)
        return client

    async def _prepare(self, client: Client) -> None:
        jetstream = _jetstream(client)
        try:
            stream = await jetstream.stream_info(self._stream)
        except nats.js.errors.NotFoundError:
            stream = await self._add_stream(jetstream)
        except nats.js.errors.ServiceUnavailableError as error:
            raise QueueUnavailable("NATS answers, but not its JetStream; is it on?") from error
        if stream.config.retention != api.RetentionPolicy.WORK_QUEUE:
            raise QueueUnavailable(
                f"NATS: the stream {self._stream} is not ours: its retention is not workqueue"
            )
        self._history = f"{stream.created}"
        try:
            consumer = await jetstream.consumer_info(self._stream, _CONSUMER)
            if consumer.config.ack_wait == self._redeliver_after_s:
                return
        except nats.js.errors.NotFoundError:
            pass
        await jetstream.add_consumer(
            self._stream,
            api.ConsumerConfig(
                durable_name=_CONSUMER,
                ack_policy=api.AckPolicy.EXPLICIT,
                ack_wait=self._redeliver_after_s,
                max_deliver=-1,  # the ledger says when a fit has failed too often
                max_ack_pending=_MAX_HELD,
            ),
        )

    async def _add_stream(self, jetstream: JetStreamContext) -> api.StreamInfo:
        config = api.StreamConfig(
            name=self._stream,
            subjects=[self._subject],
            retention=api.RetentionPolicy.WORK_QUEUE,
            storage=api.StorageType.FILE,
            discard=api.DiscardPolicy.NEW,
            max_msgs=_MAX_TICKETS,
            max_msg_size=_MAX_TICKET_BYTES,
            duplicate_window=_DEDUP_S,
            num_replicas=self._replicas,
        )
        _log.info("making the stream of fits", stream=self._stream, replicas=self._replicas)
        try:
            return await jetstream.add_stream(config)
        except nats.js.errors.APIError as error:
            if error.err_code != _REPLICAS_REFUSED:
                raise
        _log.warning("NATS is not a cluster: fits are queued on one server", stream=self._stream)
        return await jetstream.add_stream(config.evolve(num_replicas=1))

    def _warn_if_old(self, client: Client) -> None:
        version = client.connected_server_version
        if not self._warned and (version.major, version.minor) < (2, 10):
            _log.warning(
                "this NATS server acknowledges tickets long before they are on disk;"
                " from 2.10 on, `sync_interval: always` prevents that",
                version=f"{version.major}.{version.minor}.{version.patch}",
            )
        self._warned = True


class JetStreamTicket:
    """One delivery of a ticket; see `tally.fitqueue.base.Ticket`."""

    def __init__(self, queue: JetStreamQueue, message: Msg, history: str) -> None:
        self._queue = queue
        self._message = message
        self._history = history

    @property
    def fit(self) -> FitId:
        """The fit that the ledger is to be asked about."""
        return FitId(self._message.data.decode("ascii"))

    @property
    def deliveries(self) -> int:
        """How often this ticket has been handed out, this time included."""
        return self._message.metadata.num_delivered

    async def renew(self) -> None:
        """Say that the work goes on."""
        await self._tell(Msg.Ack.Progress)

    async def done(self) -> None:
        """Remove the ticket."""
        await self._tell(Msg.Ack.Ack)

    async def again(self, delay_s: float) -> None:
        """Hand the ticket out once more, after a while."""
        await self._tell(Msg.Ack.Nak + b' {"delay": %d}' % int(delay_s * 1e9))

    async def _tell(self, word: bytes) -> None:
        await self._queue.tell(self._message.reply, word, self._history)


def _jetstream(client: Client) -> JetStreamContext:
    return client.jetstream(timeout=_ANSWER_S)
