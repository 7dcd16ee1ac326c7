"""The in-process transport: the same promises as a broker's, kept in dictionaries.

Deterministic: with equal seeds and equal calls, equal things go wrong. Real enough to join
projects of one process in a federation, and what all fault tests run on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tally.federation.envelope import Reference, Sealed, parse
from tally.federation.faults import Faults
from tally.federation.memory_streams import Stream
from tally.federation.transport import (
    INLINE_BYTES,
    Asked,
    Delivery,
    FederationGone,
    StateSubject,
    TransportUnavailable,
)

_SYNC, _CONTROL, _STATE = "sync", "ctl", "state"


class MemoryBroker:
    """What peers of one process meet at.

    Args:
        now_ms: the broker's clock.
        faults: what goes wrong; nothing, unless told otherwise.
    """

    def __init__(self, now_ms: Callable[[], int], faults: Faults | None = None) -> None:
        self.now_ms = now_ms
        self.faults = faults or Faults()
        self.streams: dict[str, Stream] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: dict[str, list[Asked]] = {}
        self.waiting: dict[str, asyncio.Future[bytes]] = {}
        self.lives = 0
        self.arrival = asyncio.Event()
        self._requests = 0

    def create(self) -> None:
        """Make the streams, unless they are there."""
        # In the order in which a poll returns what is in them.
        for name in (_STATE, _CONTROL, _SYNC):
            self.streams.setdefault(name, self._stream(name))

    def restart(self) -> None:
        """End and begin again: snapshots and objects are gone, and everyone is disconnected."""
        self.lives += 1
        self.streams[_SYNC] = self._stream(_SYNC)
        self.objects.clear()
        self.asked.clear()

    def dissolve(self) -> None:
        """Remove everything."""
        self.streams.clear()
        self.objects.clear()
        self.asked.clear()

    def next_request(self) -> str:
        """Return a name for a request."""
        self._requests += 1
        return f"reply-{self._requests}"

    def woken(self) -> None:
        """Wake whoever polls."""
        self.arrival.set()
        self.arrival = asyncio.Event()

    def _stream(self, name: str) -> Stream:
        return Stream(self.faults, last_only=name != _CONTROL, lossy=name == _SYNC)


class MemoryTransport:
    """One peer's connection to a `MemoryBroker`; see `Transport`."""

    def __init__(self, broker: MemoryBroker, uuid: str) -> None:
        self._broker = broker
        self._uuid = uuid
        self._life = -1

    @property
    def inline_bytes(self) -> int:
        """See `Transport`."""
        return INLINE_BYTES

    async def create(self) -> None:
        """See `Transport`."""
        self._reach()
        self._broker.create()

    async def connect(self) -> None:
        """See `Transport`."""
        self._reach()
        if not self._broker.streams:
            raise FederationGone("the federation's streams do not exist")
        # As anew: the last words are told to whoever connects, heard or not.
        self._broker.streams[_STATE].unbind(self._uuid)
        for stream in self._broker.streams.values():
            stream.bind(self._uuid, self._broker.now_ms())
        self._broker.asked.setdefault(self._uuid, [])
        self._life = self._broker.lives

    async def close(self) -> None:
        """See `Transport`."""
        self._broker.asked.pop(self._uuid, None)
        self._life = -1

    async def now_ms(self) -> int:
        """See `Transport`."""
        self._connected()
        return self._broker.now_ms()

    async def last_number(self) -> tuple[int, int]:
        """See `Transport`."""
        self._connected()
        headers = (
            parse(stored.data).header
            for stream in self._broker.streams.values()
            for stored in stream.of(self._uuid)
        )
        return max(((header.epoch, header.seq) for header in headers), default=(0, 0))

    async def publish(self, message: Sealed) -> None:
        """See `Transport`."""
        self._put(_CONTROL, self._uuid, message.data)

    async def publish_state(self, subject: StateSubject, message: Sealed) -> None:
        """See `Transport`."""
        self._put(_STATE, subject, message.data)

    async def publish_snapshot(self, message: Sealed) -> None:
        """See `Transport`."""
        self._connected()
        self._drop_objects()
        if message.reference is not None:
            self._broker.objects[message.reference.key] = message.body
        self._put(_SYNC, self._uuid, message.data)

    async def fetch(self, reference: Reference, size_bytes: int) -> bytes | None:
        """See `Transport`."""
        self._connected()
        found = self._broker.objects.get(reference.key)
        return found if found is not None and len(found) == size_bytes else None

    async def poll(self, limit: int, timeout_s: float) -> Sequence[Delivery]:
        """See `Transport`."""
        self._connected()
        found = self._take(limit)
        if not found and not self._broker.asked.get(self._uuid) and timeout_s > 0:
            try:
                await asyncio.wait_for(self._broker.arrival.wait(), timeout_s)
            except TimeoutError:
                return []
            self._connected()
            found = self._take(limit)
        return found

    async def acknowledge(self, token: str) -> None:
        """See `Transport`."""
        self._connected()
        name, _, number = token.partition("/")
        now_ms = self._broker.now_ms()
        self._broker.streams[name].acknowledge(self._uuid, int(number), now_ms)

    async def request(self, to: str, message: Sealed, timeout_s: float) -> bytes:
        """See `Transport`."""
        self._connected()
        if to not in self._broker.asked or to in self._broker.faults.cut_off:
            raise TransportUnavailable(f"nobody listens for [{to}]")
        name = self._broker.next_request()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._broker.waiting[name] = answer
        self._broker.asked[to].append(Asked(message.data, self._broker.now_ms(), name))
        self._broker.woken()
        try:
            return await asyncio.wait_for(answer, timeout_s)
        except TimeoutError as error:
            raise TransportUnavailable(f"[{to}] did not answer in {timeout_s:g} s") from error
        finally:
            del self._broker.waiting[name]

    async def asked(self, limit: int) -> Sequence[Asked]:
        """See `Transport`."""
        self._connected()
        asked = self._broker.asked.setdefault(self._uuid, [])
        taken, asked[:] = asked[:limit], asked[limit:]
        return taken

    async def reply(self, reply_to: str, message: Sealed) -> None:
        """See `Transport`."""
        self._connected()
        waiting = self._broker.waiting.get(reply_to)
        if waiting is not None and not waiting.done():
            waiting.set_result(message.data)

    async def cleanup_node(self, *, withdraw: bool) -> None:
        """See `Transport`."""
        self._reach()
        for stream in self._broker.streams.values():
            stream.unbind(self._uuid)
        if withdraw and _SYNC in self._broker.streams:
            self._broker.streams[_SYNC].purge(self._uuid)
            self._drop_objects()
        await self.close()

    async def dissolve(self) -> None:
        """See `Transport`."""
        self._reach()
        self._broker.dissolve()

    @property
    def next_due_ms(self) -> int | None:
        """When something comes, unless something is published before; None: nothing will."""
        moments = [stream.next_due(self._uuid) for stream in self._broker.streams.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def _take(self, limit: int) -> list[Delivery]:
        now_ms = self._broker.now_ms()
        return [
            Delivery(stored.data, stored.broker_ms, f"{name}/{number}")
            for name, stream in self._broker.streams.items()
            for number, stored in stream.take(self._uuid, now_ms, limit)
        ]

    def _put(self, stream: str, subject: str, data: bytes) -> None:
        self._connected()
        self._broker.streams[stream].put(subject, data, self._broker.now_ms())
        self._broker.woken()

    def _drop_objects(self) -> None:
        for key in [key for key in self._broker.objects if key.startswith(f"{self._uuid}/")]:
            del self._broker.objects[key]

    def _reach(self) -> None:
        if self._uuid in self._broker.faults.cut_off:
            raise TransportUnavailable("the broker cannot be reached")

    def _connected(self) -> None:
        self._reach()
        if self._life != self._broker.lives or not self._broker.streams:
            self._life = -1
            raise TransportUnavailable("the connection to the broker is lost")
