"""The port over NATS: what each call does there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import api

from tally.errors import QueueUnavailable
from tally.federation.envelope import Reference, Sealed, authenticate, parse
from tally.federation.errors import EnvelopeRefused
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import MessageType
from tally.federation.nats import failures
from tally.federation.nats.access import NatsAccess
from tally.federation.nats.layout import Layout
from tally.federation.nats.link import Link
from tally.federation.nats.names import STATES, Names
from tally.federation.transport import (
    Asked,
    Delivery,
    StateSubject,
    TransportRefused,
    TransportUnavailable,
)
from tally.fitqueue import nats_connection

_log = structlog.get_logger()

INLINE_BYTES = 256 * 1024
ACK_WAIT_S = 60.0
RECREATE_AFTER_S = 30.0

_CONNECT_S = 60.0
_REFERENCE = "nats"


class NatsTransport:
    """One peer's connection to NATS; see `Transport`.

    It never connects again by itself: the driver does, and then puts back what was lost.

    Args:
        access: where NATS is, and who we are there.
        keys: of the federation.
        identity: of the peer.
        admin: this peer makes streams that are missing, at once.
        ack_wait_s: after so long what was not acknowledged is delivered again.
        recreate_after_s: so long another peer leaves it to the admin to make them.
    """

    def __init__(
        self,
        access: NatsAccess,
        keys: FederationKeys,
        identity: Identity,
        *,
        admin: bool,
        ack_wait_s: float = ACK_WAIT_S,
        recreate_after_s: float = RECREATE_AFTER_S,
    ) -> None:
        self._access = access
        self._keys = keys
        self._uuid = identity.uuid
        self._public = identity.public
        self._names = Names(keys.fid)
        self._admin = admin
        self._ack_wait_s = ack_wait_s
        self._recreate_after_s = recreate_after_s
        self._object_bytes = access.stream_bytes
        self._missing_since: float | None = None
        self._link: Link | None = None
        self._connections = 0
        self._dissolved = False
        self._inline_bytes = INLINE_BYTES

    @property
    def inline_bytes(self) -> int:
        """The largest snapshot that goes into a message; known once it was created or connected."""
        return self._inline_bytes

    @property
    def traffic_bytes(self) -> tuple[int, int]:
        """What this connection has sent and received so far."""
        if self._link is None:
            return (0, 0)
        stats = self._link.client.stats
        return (stats["out_bytes"], stats["in_bytes"])

    async def create(self) -> None:
        """See `Transport`; a second time, it makes what is missing.

        Raises:
            TransportRefused: the credentials are wrong, or NATS has no JetStream or no memory.
        """
        client = await self._open()
        try:
            async with failures.within(_CONNECT_S, "creating the federation"):
                await self._layout(client).create(self._access.stream_bytes)
        finally:
            await nats_connection.close(client)

    async def connect(self) -> None:
        """See `Transport`.

        Raises:
            TransportRefused: the credentials are wrong, or NATS has no JetStream.
        """
        if self._dissolved:
            # An admin that connects makes what is missing, and here all of it is, for good.
            raise TransportUnavailable("the federation was dissolved")
        client = await self._open()
        try:
            async with failures.within(_CONNECT_S, "connecting"):
                await self._mend(self._layout(client))
                link = Link(client, self._names, self._uuid, self._ack_wait_s)
                await link.begin()
        except BaseException:
            await nats_connection.close(client)
            raise
        before, self._link = self._link, link
        self._connections += 1
        if before is not None:
            await before.close()

    async def close(self) -> None:
        """See `Transport`."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def now_ms(self) -> int:
        """See `Transport`."""
        async with self._call("asking for its clock") as link:
            return await link.clock_ms()

    async def last_number(self) -> tuple[int, int]:
        """See `Transport`; only messages that this peer did sign count."""
        names = self._names
        places = [(names.sync, names.sync_of(self._uuid))]
        places.append((names.control, names.control_of(self._uuid)))
        places += [(names.state, names.state_of(state)) for state in STATES]
        highest = (0, 0)
        async with self._call("looking for our last message") as link:
            for stream, subject in places:
                try:
                    stored = await link.jetstream.get_last_msg(stream, subject)
                except nats.js.errors.NotFoundError:
                    continue
                highest = max(highest, self._number_in(stored.data or b""))
        return highest

    async def publish(self, message: Sealed) -> None:
        """See `Transport`."""
        await self._publish(self._names.control, self._names.control_of(self._uuid), message)

    async def publish_state(self, subject: StateSubject, message: Sealed) -> None:
        """See `Transport`."""
        await self._publish(self._names.state, self._names.state_of(subject), message)

    async def publish_snapshot(self, message: Sealed) -> None:
        """See `Transport`."""
        reference = message.reference
        if reference is not None:
            async with self._call("storing an object", message.body) as link:
                await link.objects.put(reference.key, message.body)
        await self._publish(self._names.sync, self._names.sync_of(self._uuid), message)
        async with self._call("removing older objects") as link:
            await link.objects.remove_all_but(reference.key if reference else None)

    async def fetch(self, reference: Reference, size_bytes: int) -> bytes | None:
        """See `Transport`."""
        if reference.kind != _REFERENCE:
            return None
        async with self._call("fetching an object", size_bytes) as link:
            return await link.objects.fetch(reference.key, size_bytes)

    async def poll(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        """See `Transport`."""
        async with self._call("waiting for messages", seconds=timeout_s) as link:
            return [
                replace(delivery, token=f"{self._connections}:{delivery.token}")
                for delivery in await link.poll(limit, timeout_s)
            ]

    async def acknowledge(self, token: str) -> None:
        """See `Transport`."""
        async with self._call("acknowledging") as link:
            # Of an earlier connection: it may name another message of a stream that is new.
            connection, _, rest = token.partition(":")
            if connection == str(self._connections):
                await link.acknowledge(rest)

    async def request(self, to: str, message: Sealed, timeout_s: float) -> bytes:
        """See `Transport`."""
        link = self._connected()
        kind = parse(message.data).header.type
        question = "join" if kind is MessageType.JOIN else "explore"
        subject = self._names.question_to(to, question)
        async with failures.within(timeout_s + failures.ANSWER_S, f"asking [{to}]"):
            try:
                answer = await link.client.request(subject, message.data, timeout=timeout_s)
            except nats.errors.NoRespondersError as error:
                raise TransportUnavailable(f"nobody listens for [{to}]") from error
            except nats.errors.TimeoutError as error:
                raise TransportUnavailable(f"[{to}] did not answer in {timeout_s:g} s") from error
        return answer.data

    async def asked(self, limit: int) -> Sequence[Asked]:
        """See `Transport`; the moments are those at which we looked."""
        if not self._connected().asked:
            return []
        now_ms = await self.now_ms()
        waiting = self._connected().asked
        taken = [waiting.popleft() for _ in range(min(limit, len(waiting)))]
        return [Asked(message.data, now_ms, message.reply) for message in taken]

    async def reply(self, reply_to: str, message: Sealed) -> None:
        """See `Transport`; an answer that is too large for NATS is not sent."""
        async with self._call("answering") as link:
            if len(message.data) > link.client.max_payload:
                _log.warning("an answer is too large", size_bytes=len(message.data))
                return
            await link.client.publish(reply_to, message.data)

    async def cleanup_node(self, *, withdraw: bool) -> None:
        """See `Transport`."""
        names = self._names
        async with self._visit("cleaning up") as link:
            await link.forget(names.control)
            await link.forget(names.sync)
            if withdraw:
                with contextlib.suppress(nats.js.errors.NotFoundError):
                    await link.jetstream.purge_stream(names.sync, subject=names.sync_of(self._uuid))
                with contextlib.suppress(nats.js.errors.NotFoundError):
                    await link.objects.remove_all_but(None)
        await self.close()

    async def dissolve(self) -> None:
        """See `Transport`; streams of another federation or another use stay."""
        async with self._visit("dissolving") as link:
            await self._layout(link.client).remove()
        self._dissolved = True
        await self.close()

    async def _open(self) -> Client:
        try:
            client = await nats_connection.connect(self._access.options)
        except nats_connection.NatsRefused as error:
            raise TransportRefused(str(error)) from error
        except QueueUnavailable as error:
            raise TransportUnavailable(str(error)) from error
        try:
            async with failures.within(failures.ANSWER_S, "asking for JetStream"):
                await client.jetstream(timeout=failures.ANSWER_S).account_info()
        except BaseException as error:
            await nats_connection.close(client)
            if isinstance(error.__cause__, nats.js.errors.ServiceUnavailableError):
                reason = "NATS answers, but not its JetStream; is it on?"
                raise TransportRefused(reason) from error
            raise
        self._inline_bytes = min(INLINE_BYTES, client.max_payload // 2)
        return client

    def _layout(self, client: Client) -> Layout:
        return Layout(client.jetstream(timeout=failures.ANSWER_S), self._names)

    async def _mend(self, layout: Layout) -> None:
        """Make streams that a restart of the broker has lost, or wait for who makes them.

        The lasting ones are made again by the admin only: their absence means that the federation
        was dissolved, and nobody else may bring a part of it back.
        """
        missing = await layout.missing()
        names = self._names
        if not missing:
            self._missing_since = None
        elif self._admin:
            await layout.create(self._object_bytes)
        elif missing & {names.state, names.control}:
            raise TransportUnavailable("the federation's streams do not exist")
        else:
            now = asyncio.get_running_loop().time()
            if self._missing_since is None:
                self._missing_since = now
            if now - self._missing_since < self._recreate_after_s:
                raise TransportUnavailable("streams were lost; the admin is waited for")
            await layout.recreate(missing, self._object_bytes)
            if {names.state, names.control} & await layout.missing():
                await layout.remove()
                raise TransportUnavailable("the federation was dissolved")
        self._object_bytes = await layout.object_bytes() or self._object_bytes

    async def _publish(self, stream: str, subject: str, message: Sealed) -> None:
        header = parse(message.data).header
        async with self._call("publishing") as link:
            await link.jetstream.publish(
                subject,
                message.data,
                stream=stream,
                headers={api.Header.MSG_ID.value: header.msg_id},
            )

    def _number_in(self, data: bytes) -> tuple[int, int]:
        try:
            envelope = parse(data)
            authenticate(envelope, self._keys, self._public)
        except EnvelopeRefused:
            return (0, 0)
        return (envelope.header.epoch, envelope.header.seq)

    def _connected(self) -> Link:
        if self._link is None or self._link.client.is_closed:
            raise TransportUnavailable("the connection to NATS is lost")
        return self._link

    @contextlib.asynccontextmanager
    async def _call(
        self, what: str, size: bytes | int = 0, *, seconds: float = 0.0
    ) -> AsyncIterator[Link]:
        """Give the connection to one call; if the call fails, it ends: half of it may be dead."""
        link = self._connected()
        size_bytes = size if isinstance(size, int) else len(size)
        bound_s = 3 * failures.ANSWER_S + seconds + size_bytes / (256 * 1024)
        try:
            async with failures.within(bound_s, what):
                yield link
        except TransportUnavailable:
            if self._link is link:
                self._link = None
            await link.close()
            raise

    @contextlib.asynccontextmanager
    async def _visit(self, what: str) -> AsyncIterator[Link]:
        """Give a connection, or make one for this call; no place in the streams is needed."""
        if self._link is None or self._link.client.is_closed:
            self._link = Link(await self._open(), self._names, self._uuid, self._ack_wait_s)
        async with self._call(what) as link:
            yield link
