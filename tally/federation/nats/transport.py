"""The port over NATS: what each call does there."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import nats.errors
import nats.js.errors
import structlog
from nats.js import api

from tally.federation.envelope import Reference, Sealed, authenticate, parse
from tally.federation.errors import EnvelopeRefused
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import MessageType
from tally.federation.nats.access import NatsAccess
from tally.federation.nats.layout import Layout
from tally.federation.nats.link import Link
from tally.federation.nats.mending import Mending
from tally.federation.nats.names import STATES, Names
from tally.federation.nats.objects import Objects
from tally.federation.nats.session import Session
from tally.federation.transport import (
    INLINE_BYTES,
    Asked,
    Delivery,
    StateSubject,
    TransportUnavailable,
)

_log = structlog.get_logger()

ACK_WAIT_S = 60.0
RECREATE_AFTER_S = 30.0

_CONNECT_S = 45.0
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
        self._ack_wait_s = ack_wait_s
        self._mending = Mending(
            self._names,
            admin=admin,
            after_s=recreate_after_s,
            object_bytes=access.stream_bytes,
        )
        self._link: Link | None = None
        self._connections = 0
        self._dissolved = False
        self._inline_bytes = INLINE_BYTES

    @property
    def inline_bytes(self) -> int:
        """See `Transport`."""
        return self._inline_bytes

    @property
    def traffic_bytes(self) -> tuple[int, int]:
        """What this connection has sent and received so far."""
        if self._link is None:
            return (0, 0)
        stats = self._link.session.client.stats
        return (stats["out_bytes"], stats["in_bytes"])

    async def create(self) -> None:
        """See `Transport`.

        Raises:
            TransportRefused: the credentials are wrong, or NATS has no JetStream or no memory.
        """
        async with self._visit("creating the federation") as session:
            layout = Layout(session.jetstream, self._names)
            await layout.make(layout.all, self._access.stream_bytes)

    async def connect(self) -> None:
        """See `Transport`.

        Raises:
            TransportRefused: the credentials or the rights are wrong, or NATS has no JetStream.
        """
        if self._dissolved:
            # An admin that connects makes what is missing, and here all of it is, for good.
            raise TransportUnavailable("the federation was dissolved")
        session = await self._open()
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(session.close)
            async with session.call("connecting", seconds=_CONNECT_S):
                await self._mending.mend(Layout(session.jetstream, self._names))
                link = Link(session, self._names, self._uuid, self._ack_wait_s)
                await link.begin()
            undo.pop_all()
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
                    stored = await link.session.jetstream.get_last_msg(stream, subject)
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
            async with self._call("storing an object", size_bytes=len(message.body)) as link:
                await link.objects.put(reference.key, message.body)
        await self._publish(self._names.sync, self._names.sync_of(self._uuid), message)
        async with self._call("removing older objects") as link:
            await link.objects.remove_all_but(reference.key if reference else None)

    async def fetch(self, reference: Reference, size_bytes: int) -> bytes | None:
        """See `Transport`."""
        if reference.kind != _REFERENCE:
            return None
        async with self._call("fetching an object", size_bytes=size_bytes) as link:
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
        session = self._connected().session
        kind = parse(message.data).header.type
        question = "join" if kind is MessageType.JOIN else "explore"
        subject = self._names.question_to(to, question)
        async with session.call(f"asking [{to}]", seconds=timeout_s):
            try:
                answer = await session.client.request(subject, message.data, timeout=timeout_s)
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
            client = link.session.client
            if len(message.data) > client.max_payload:
                _log.warning("an answer is too large", size_bytes=len(message.data))
                return
            await client.publish(reply_to, message.data)

    async def cleanup_node(self, *, withdraw: bool) -> None:
        """See `Transport`."""
        async with self._visit("cleaning up") as session:
            await Layout(session.jetstream, self._names).forget(self._uuid, withdraw=withdraw)
            if withdraw:
                with contextlib.suppress(nats.js.errors.NotFoundError):
                    await Objects(session, self._names, self._uuid).remove_all_but(None)
        await self.close()

    async def dissolve(self) -> None:
        """See `Transport`; streams of another federation or another use stay."""
        async with self._visit("dissolving") as session:
            await Layout(session.jetstream, self._names).remove()
        self._dissolved = True
        await self.close()

    async def _open(self) -> Session:
        session = await Session.open(self._access.options, self._names, self._uuid)
        self._inline_bytes = min(INLINE_BYTES, session.client.max_payload // 2)
        return session

    async def _publish(self, stream: str, subject: str, message: Sealed) -> None:
        header = parse(message.data).header
        async with self._call("publishing") as link:
            await link.session.jetstream.publish(
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
        if self._link is None or not self._link.session.is_open:
            raise TransportUnavailable("the connection to NATS is lost")
        return self._link

    @contextlib.asynccontextmanager
    async def _call(
        self, what: str, *, size_bytes: int = 0, seconds: float = 0.0
    ) -> AsyncIterator[Link]:
        """Give the connection to one call; if the call fails, it ends: half of it may be dead."""
        link = self._connected()
        try:
            async with link.session.call(what, size_bytes=size_bytes, seconds=seconds):
                yield link
        except TransportUnavailable:
            if self._link is link:
                self._link = None
            await link.close()
            raise

    @contextlib.asynccontextmanager
    async def _visit(self, what: str) -> AsyncIterator[Session]:
        """Give a connection of its own to a call for which no place in the streams is needed."""
        session = await self._open()
        try:
            async with session.call(what, seconds=_CONNECT_S):
                yield session
        finally:
            await session.close()
