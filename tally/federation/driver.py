"""Owns one running peer: feeds it what happens, and does what it wants done.

The machine decides, the driver acts. One event is handled at a time, or what came together, its
effects in order and to the end. An effect that the transport refuses is not repeated here: the
protocol makes up for it once the transport is back, as it does after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import structlog

from tally.clock import Clock
from tally.errors import ClaimLost, TallyError
from tally.federation import effects as fx
from tally.federation import persistence
from tally.federation.acceptance import needs_object
from tally.federation.answering import Answers
from tally.federation.envelope import check_member, parse
from tally.federation.errors import EnvelopeRefused, refusal
from tally.federation.events import (
    CleanedUp,
    Event,
    ExplorePeer,
    Failed,
    Join,
    NotRebuilt,
    Rebuilt,
    Received,
    Reconnected,
    RequestSync,
    Restarted,
    StartPulse,
    Tick,
    Timer,
)
from tally.federation.keys import FederationKeys
from tally.federation.peer import Peer, Step
from tally.federation.ports import Home, Journal, Offload
from tally.federation.scheduling import is_tick_due
from tally.federation.state import NodeState, PeerState
from tally.federation.transport import (
    FederationGone,
    Transport,
    TransportFull,
    TransportUnavailable,
)

POLL_LIMIT = 100
ASKED_LIMIT = 20
"""Questions between two looks at the messages: they may take long, and rounds do not wait."""

BATCH_BYTES = 8 * 1024 * 1024
"""Messages that come together are handled together, as long as they are no larger than this."""

MAX_IDLE_S = 1.0
CLEAN_UP_AGAIN_MS = 10_000
MAX_BACKOFF_S = 60.0
REQUEST_TIMEOUT_S = 30.0

E = TypeVar("E")
Effects: TypeAlias = tuple[fx.Effect, ...]
_log = structlog.get_logger()


class Driver:
    """A peer that runs.

    Args:
        peer: the machine.
        keys: of the federation.
        state: where it begins.
        transport: connected or not.
        home, journal: see there.
        clock: this node's.
        offload: where steps run that decode and encrypt statistics.
    """

    def __init__(
        self,
        peer: Peer,
        keys: FederationKeys,
        state: PeerState,
        transport: Transport,
        home: Home,
        journal: Journal,
        clock: Clock,
        offload: Offload = asyncio.to_thread,
    ) -> None:
        self._peer = peer
        self._keys = keys
        self.state = state
        self._transport = transport
        self._home = home
        self._journal = journal
        self._clock = clock
        self._offload = offload
        self._lock = asyncio.Lock()
        self._dumper = persistence.Dumper()
        self._answers = Answers(home, clock)
        self.connected = False
        self._wake_ms: int | None = None
        self._farewell: tuple[int, fx.CleanUp] | None = None

    @property
    def wake_ms(self) -> int | None:
        """When `wake` is to be called, by this node's clock; None: not at all."""
        if self._farewell is None:
            return self._wake_ms
        return self._farewell[0] if self._wake_ms is None else min(self._wake_ms, self._farewell[0])

    def now_ms(self) -> int:
        """Return this node's clock."""
        return round(self._clock.now().timestamp() * 1000)

    async def tell(self, event: Event) -> Effects:
        """Handle one event to the end, and return the effects that it had.

        Raises:
            TallyError: it is a command that cannot be obeyed; nothing has changed.
        """
        async with self._lock:
            return await self._handle(event)

    async def wake(self) -> None:
        """Do what is due."""
        async with self._lock:
            now_ms = self.now_ms()
            if is_tick_due(self.state, now_ms):
                await self._handle(Tick(now_ms, await self._home.freeze()))
            else:
                await self._handle(Timer(now_ms))
            try:
                await self._clean_up_if_due()
            except TransportUnavailable as error:
                self._lost(error)

    async def drain(self, timeout_s: float = 0.0) -> int:
        """Handle what has come, waiting for the first of it; return how much it was.

        Raises:
            TransportUnavailable: the broker cannot be reached.
        """
        for asked in await self._transport.asked(ASKED_LIMIT):
            now_ms = self.now_ms()
            await self.tell(Received(now_ms, asked.data, asked.broker_ms, reply_to=asked.reply_to))
        deliveries = await self._transport.poll(POLL_LIMIT, timeout_s)
        batch: list[Received] = []
        size_bytes = 0
        for delivery in deliveries:
            try:
                body = await self._fetch(delivery.data)
            except TransportUnavailable:
                await self._take(batch)  # or they would wait for their repetition
                raise
            now_ms = self.now_ms()
            batch.append(Received(now_ms, delivery.data, delivery.broker_ms, body, delivery.token))
            size_bytes += len(delivery.data) + len(body or b"")
            if size_bytes > BATCH_BYTES:
                await self._take(batch)
                batch, size_bytes = [], 0
        await self._take(batch)
        return len(deliveries)

    async def _take(self, batch: Sequence[Received]) -> None:
        """Handle messages that came together; the record is written once for all of them."""
        if batch:
            async with self._lock:
                await self._carry_out(self._peer.steps, batch)

    async def connect(self) -> None:
        """Connect, or connect again.

        Raises:
            TransportUnavailable: the broker cannot be reached.
        """
        await self._transport.connect()
        seen = await self._transport.last_number()
        self.connected = True
        await self.tell(Reconnected(self.now_ms(), seen))

    async def resume(self, *, takeover: bool) -> None:
        """Go on from the record, connected if possible.

        Args:
            takeover: another worker may still be running this peer.
        """
        seen = (0, 0)
        if self.state.node is NodeState.GONE:
            return  # an admin that connects would make its streams again
        try:
            await self._transport.connect()
            seen = await self._transport.last_number()
            self.connected = True
        except TransportUnavailable as error:
            self._lost(error)
        # Once it is connected, `connect` tells what it could not be told now.
        await self.tell(Restarted(self.now_ms(), takeover, seen))

    async def begin(self) -> None:
        """Save the state that a new peer begins with."""
        record, snapshots = await self._offload(self._dumper.dump, self.state)
        await self._journal.save(record, snapshots)

    async def join(self, token: str, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Ask the admin to let this node in; may be repeated until it has answered.

        Raises:
            CannotJoin: or another refusal, as the admin gave it.
            TransportUnavailable: the admin did not answer.
        """
        request = _first(fx.Request, await self.tell(Join(self.now_ms(), token)))
        joined = _first(fx.Joined, await self._ask(request, timeout_s))
        if not joined.ok:
            raise refusal(joined.code, joined.error)

    async def join_by(self, token: str, send: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Ask the admin as `join` does, by another way than the transport.

        Args:
            token: of the invitation.
            send: brings the sealed request to the admin, and his sealed answer back.

        Raises:
            CannotJoin: or another refusal, as the admin gave it.
        """
        request = _first(fx.Request, await self.tell(Join(self.now_ms(), token)))
        answer = await send(request.message.data)
        now_ms = self.now_ms()
        joined = _first(fx.Joined, await self.tell(Received(now_ms, answer, now_ms)))
        if not joined.ok:
            raise refusal(joined.code, joined.error)

    async def start_pulse(self) -> None:
        """Synchronise from the next round on.

        Raises:
            TransportUnavailable: the broker cannot be reached, so its clock cannot be compared.
            NotNow: the peer is not in the federation.
        """
        broker_ms = await self._transport.now_ms()
        await self.tell(StartPulse(self.now_ms(), broker_ms, await self._home.freeze()))

    async def request_sync(self) -> None:
        """Ask all others for what they last shared.

        Raises:
            NotNow: the peer is not in the federation.
        """
        await self.tell(RequestSync(self.now_ms(), await self._home.freeze()))

    async def explore(
        self,
        peer: str,
        metric: str,
        context: Mapping[str, Any],
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> fx.Answered:
        """Return what another peer answers about its own statistics.

        Raises:
            UnknownPeer, ExplorationRefused: it cannot be asked.
            TransportUnavailable: it did not answer; what it last shared is in the state.
        """
        event = ExplorePeer(self.now_ms(), peer, metric, context)
        request = _first(fx.Request, await self.tell(event))
        answered = _first(fx.Answered, await self._ask(request, timeout_s))
        if (answered.peer, answered.req_id) != (peer, request.req_id):
            raise EnvelopeRefused(f"peer [{answered.peer}] answered in place of peer [{peer}]")
        return answered

    async def _ask(self, request: fx.Request, timeout_s: float) -> Effects:
        answer = await self._transport.request(request.to, request.message, timeout_s)
        broker_ms = await self._transport.now_ms()
        return await self.tell(Received(self.now_ms(), answer, broker_ms))

    async def run(self) -> None:
        """Run until cancelled, or until the peer is gone.

        A broker that is lost is waited for. Other failures are logged and tried again, too: what
        was not saved was not acknowledged, and comes again.

        Raises:
            TallyError: this process does not own the peer any more (`claim_lost`).
        """
        backoff_s = 1.0
        while self.state.node is not NodeState.GONE:
            try:
                await self._turn()
                backoff_s = 1.0
                continue
            except TransportUnavailable as error:
                self._lost(error)
            except TallyError as error:
                if error.code == ClaimLost.code:
                    raise
                self._note(str(error))
            await self._clock.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)

    async def _turn(self) -> None:
        if self.wake_ms is not None and self.now_ms() >= self.wake_ms:
            await self.wake()
        if self.state.node is NodeState.GONE:
            return
        if not self.connected:
            # An admin that connects makes what is missing: not if another one dissolved it since.
            await self._journal.load()
            try:
                await self.connect()
            except FederationGone:
                if self.state.node is not NodeState.LEAVING:
                    raise
                await self.tell(CleanedUp())  # nobody is left to hear the goodbye
                return
        await self.drain(self._idle_s())

    async def _handle(self, event: Event) -> Effects:
        return await self._carry_out(self._peer.step, event)

    async def _carry_out(self, steps: Callable[[PeerState, E], Step], what: E) -> Effects:
        """Save what follows from one event, or from several, and do it."""
        step = await self._offload(steps, self.state, what)
        lost = False
        for effect in step.effects:
            if isinstance(effect, fx.Persist):
                record, snapshots = await self._offload(self._dumper.dump, step.state)
                await self._journal.save(record, snapshots)
                # Only now: had the save failed, the numbers that it gave out would be free again.
                self.state = step.state
            elif not (lost and isinstance(effect, fx.CleanUp)):
                # What was not said goodbye to is not cleaned up: the others would wait for ever.
                lost = not await self._do(effect) or lost
        return step.effects

    async def _do(self, effect: fx.Effect) -> bool:
        try:
            await self._act(effect)
        except TransportUnavailable as error:
            self._lost(error)
            return False
        except TransportFull as error:
            # As if it had been lost on its way: what is newer is sent with the next round.
            self._note(f"Nothing was published: {error}")
        return True

    async def _act(self, effect: fx.Effect) -> None:
        transport = self._transport
        match effect:
            case fx.PublishSnapshot(message):
                await transport.publish_snapshot(message)
            case fx.PublishControl(message):
                await transport.publish(message)
            case fx.PublishState(subject, message):
                await transport.publish_state(subject, message)
            case fx.Reply(reply_to, message) if reply_to:
                await transport.reply(reply_to, message)
            case fx.Acknowledge(token):
                await transport.acknowledge(token)
            case fx.Rebuild():
                await self._rebuild(effect)
            case fx.Explore():
                await self._handle(await self._answers.answer(effect, self.now_ms()))
            case fx.Wake(at_ms):
                self._wake_ms = at_ms
            case fx.CleanUp():
                # Of a federation that ends, the others are to hear before its streams are gone.
                self._farewell = (self.now_ms() + effect.after_ms, effect)
                await self._clean_up_if_due()
            case _:
                pass  # the caller of `tell` reads it

    async def _rebuild(self, effect: fx.Rebuild) -> None:
        event: Event
        try:
            event = Rebuilt(await self._home.rebuild(effect))
        except TallyError as error:
            event = NotRebuilt(f"The federated project was not rebuilt: {error}")
        except Exception as error:
            # A defect. What another peer sent must not end this one, again and again.
            _log.error("rebuilding failed", peer=effect.own, exc_info=error)
            event = NotRebuilt(f"The federated project was not rebuilt: {type(error).__name__}")
        await self._handle(event)

    async def _clean_up_if_due(self) -> None:
        if self._farewell is None or self.now_ms() < self._farewell[0]:
            return
        _, effect = self._farewell
        # If that fails it is due again, but not at once and for ever.
        self._farewell = (self.now_ms() + CLEAN_UP_AGAIN_MS, effect)
        await self._transport.cleanup_node(withdraw=effect.withdraw)
        if effect.dissolve:
            await self._transport.dissolve()
        self._farewell = None
        self.connected = False
        await self._handle(CleanedUp())

    async def _fetch(self, data: bytes) -> bytes | None:
        """Return the object that a member's message refers to; the machine judges the rest."""
        try:
            envelope = parse(data)
            header = envelope.header
            if header.ref is None or not needs_object(self.state, header):
                return None
            check_member(envelope, self._keys)
        except TallyError:
            return None
        return await self._transport.fetch(header.ref, header.size)

    def _lost(self, error: TransportUnavailable) -> None:
        if self.connected:
            self.connected = False
            self._note(f"The transport is lost: {error}")

    def _note(self, entry: str) -> None:
        """Write to the error log, which is saved with the next change."""
        self.state = self._peer.step(self.state, Failed(entry)).state

    def _idle_s(self) -> float:
        if self.wake_ms is None:
            return MAX_IDLE_S
        return min(MAX_IDLE_S, max(0.0, (self.wake_ms - self.now_ms()) / 1000))


def _first(kind: type[E], effects: Effects) -> E:
    for effect in effects:
        if isinstance(effect, kind):
            return effect
    raise EnvelopeRefused("the answer was refused; the error log says why")
