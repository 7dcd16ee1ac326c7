"""A thin typed adapter over the etcd v3 calls that we need.

It uses aetcd's generated protocol stubs, and its own channels instead of `aetcd.Client`, which
has no TLS, one endpoint, no token renewal, hides the revision and term of answers, and queues
the events of a slow watch without bound.

Source: https://etcd.io/docs/v3.5/learning/api/.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tally.coordination.base import Deleted, KeyValue, Put
from tally.coordination.prefixes import end_of
from tally.errors import ConfigurationError, Conflict, CoordinationUnavailable, InvalidInput

try:
    import grpc
    import grpc.aio
    from aetcd import rpc
except ImportError as error:  # pragma: no cover - needs an environment without the extra
    message = "etcd:// needs an optional package: pip install 'tally[etcd]'"
    raise ConfigurationError(message) from error

CONNECT_POLL_S = 0.02
CHANNEL_OPTIONS = (
    # gRPC's own backoff grows to two minutes: after an outage of 25 s it took 15 s to notice.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A peer that vanished without a word is given up after 10 + 3 s, on all calls. etcd tears
    # connections down that ping more often than every 5 s. Watches notice sooner by themselves.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
    # The default of 4 MiB is less than a few keys of the greatest size.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # Otherwise channels to one address share a connection, and its fate, across coordinators.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True)
class EtcdOptions:
    """How to reach etcd.

    Attributes:
        endpoints: `host:port` each; any of them will do.
        tls: whether to speak TLS; `ca_file` defaults to the system's authorities.
        cert_file, key_file: the client's certificate, where etcd asks for one.
        user, password: where etcd has authentication enabled.
        timeout_s: deadline of every call.
    """

    endpoints: tuple[str, ...]
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Header:
    """Where the history stood when etcd answered."""

    revision: int
    term: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The items that a range held, in order of their keys."""

    header: Header
    items: tuple[KeyValue, ...]


class EtcdClient:
    """Calls to whichever endpoint is connected, each with a deadline."""

    def __init__(self, options: EtcdOptions) -> None:
        self._options = options
        self._credentials = _channel_credentials(options)
        self._channels: list[Any] = []
        self._preferred = 0
        self._token: str | None = None
        self._login = asyncio.Lock()
        self._closed = False

    def __str__(self) -> str:
        return f"etcd at {','.join(self._options.endpoints)}"

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for channel in self._channels:
            await channel.close()

    # --- keys -------------------------------------------------------------------------------

    async def get(self, key: str) -> Answer:
        """Return the newest value of one key, as the majority knows it."""
        answer = await self._call(rpc.KVStub, "Range", rpc.RangeRequest(key=key.encode()))
        return _answer(answer)

    async def get_with_range(self, key: str, prefix: str) -> tuple[Answer, Answer]:
        """Return one key and all keys under a prefix, both as of one revision."""
        ranges = (rpc.RangeRequest(key=key.encode()), _prefix_range(prefix))
        request = rpc.TxnRequest(success=[rpc.RequestOp(request_range=each) for each in ranges])
        done = await self._call(rpc.KVStub, "Txn", request)
        one, many = (_answer(each.response_range, done.header) for each in done.responses)
        return one, many

    async def put(self, key: str, value: bytes, lease_id: int = 0) -> int:
        """Set a key and return the revision of that; `Conflict` where there is no such lease."""
        request = rpc.PutRequest(key=key.encode(), value=value, lease=lease_id)
        answer = await self._call(rpc.KVStub, "Put", request)
        return int(answer.header.revision)

    async def replace(self, key: str, value: bytes, expected_revision: int) -> bool:
        """Set a key if that is its revision, 0 meaning that there is none."""
        request = rpc.TxnRequest(
            compare=[
                rpc.Compare(
                    key=key.encode(),
                    target=rpc.Compare.MOD,
                    result=rpc.Compare.EQUAL,
                    mod_revision=expected_revision,
                )
            ],
            success=[rpc.RequestOp(request_put=rpc.PutRequest(key=key.encode(), value=value))],
        )
        answer = await self._call(rpc.KVStub, "Txn", request)
        return bool(answer.succeeded)

    async def delete(self, key: str) -> None:
        """Delete a key if it is there."""
        await self._call(rpc.KVStub, "DeleteRange", rpc.DeleteRangeRequest(key=key.encode()))

    # --- leases -----------------------------------------------------------------------------

    async def grant(self, ttl_s: int) -> int:
        """Create a lease and return its id."""
        answer = await self._call(rpc.LeaseStub, "LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl_s))
        return int(answer.ID)

    async def renew(self, lease_id: int, timeout_s: float) -> bool:
        """Extend a lease; False where it has ended.

        Args:
            lease_id: as granted.
            timeout_s: deadline of this call, which should leave time for another.
        """
        async with self._translated():
            channel = await self._connected()
            call = rpc.LeaseStub(channel).LeaseKeepAlive(
                [rpc.LeaseKeepAliveRequest(ID=lease_id)],
                timeout=min(timeout_s, self._options.timeout_s),
                metadata=await self._metadata(channel),
            )
            try:
                async for answer in call:
                    # etcd says no more than this about a lease that it does not know.
                    return bool(answer.TTL > 0)
            finally:
                await _end(call)
            raise CoordinationUnavailable(f"{self}: no answer to a lease renewal")

    async def revoke(self, lease_id: int) -> None:
        """End a lease and its keys; one that has ended already is none of our concern."""
        try:
            await self._call(rpc.LeaseStub, "LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease_id))
        except Conflict:
            return

    # --- watches ----------------------------------------------------------------------------

    @asynccontextmanager
    async def watch_stream(self) -> AsyncIterator[WatchStream]:
        """Open a connection's watch stream; errors inside the block are translated too."""
        async with self._translated():
            channel = await self._connected()
            call = rpc.WatchStub(channel).Watch(metadata=await self._metadata(channel))
            stream = WatchStream(call, str(self))
            try:
                yield stream
            finally:
                await stream.close()

    def forget_token(self) -> None:
        """Log in again before the next call."""
        self._token = None

    # --- connections ------------------------------------------------------------------------

    async def _call(self, stub: Any, method: str, request: Any) -> Any:
        """Make one call, and once more where only our login had run out."""
        async with self._translated():
            for attempt in range(2):
                channel = await self._connected()
                try:
                    return await getattr(stub(channel), method)(
                        request,
                        timeout=self._options.timeout_s,
                        metadata=await self._metadata(channel),
                    )
                except grpc.aio.AioRpcError as error:
                    if attempt or not _login_ran_out(error):
                        raise
                    self.forget_token()
        raise AssertionError("unreachable")

    async def _connected(self) -> Any:
        """Return a channel that is connected, the one used before if it is.

        Calls are made on connected channels only: one that then fails may have been carried
        out, so it is not repeated here, where a compare-and-set would meet itself.
        """
        if self._closed:
            raise CoordinationUnavailable(f"{self}: the coordinator is closed")
        if not self._channels:
            self._channels = [self._channel(each) for each in self._options.endpoints]
        give_up = time.monotonic() + self._options.timeout_s
        while time.monotonic() < give_up and not self._closed:
            for offset in range(len(self._channels)):
                index = (self._preferred + offset) % len(self._channels)
                state = self._channels[index].get_state(try_to_connect=True)
                if state is grpc.ChannelConnectivity.READY:
                    self._preferred = index
                    return self._channels[index]
            await asyncio.sleep(CONNECT_POLL_S)
        raise CoordinationUnavailable(f"{self}: not connected within {self._options.timeout_s:g} s")

    def _channel(self, endpoint: str) -> Any:
        if self._credentials is None:
            return grpc.aio.insecure_channel(endpoint, options=CHANNEL_OPTIONS)
        return grpc.aio.secure_channel(endpoint, self._credentials, options=CHANNEL_OPTIONS)

    async def _metadata(self, channel: Any) -> Iterable[tuple[str, str]]:
        # A member that lost the majority then ends the stream instead of falling silent.
        metadata = [("hasleader", "true")]
        if self._options.user is not None:
            async with self._login:
                if self._token is None:
                    request = rpc.AuthenticateRequest(
                        name=self._options.user, password=self._options.password or ""
                    )
                    answer = await rpc.AuthStub(channel).Authenticate(
                        request, timeout=self._options.timeout_s
                    )
                    self._token = str(answer.token)
                metadata.append(("token", self._token))
        return metadata

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from None
        except grpc.aio.UsageError:
            raise CoordinationUnavailable(f"{self}: the coordinator is closed") from None

    def _translate(self, error: grpc.aio.AioRpcError) -> Exception:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.NOT_FOUND and "lease" in details:
            return Conflict("the lease has ended")
        if code is grpc.StatusCode.INVALID_ARGUMENT and "too large" in details:
            return InvalidInput("value", f"{self} refuses it: {details}")
        if _login_ran_out(error):
            self.forget_token()
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            # Connected, but perhaps to a member without a majority: try another one next.
            self._preferred += 1
        return CoordinationUnavailable(f"{self}: {code.name}: {details}")


RevisedChange = tuple[int, Put | Deleted]
"""A change with its revision, which several keys share that were changed at once."""


class WatchStream:
    """One open stream, with any number of watches on it."""

    def __init__(self, call: Any, name: str) -> None:
        self._call = call
        self._name = name
        self._reading: asyncio.Future[Any] | None = None

    async def close(self) -> None:
        """End the stream, and whatever waits for it."""
        await _end(self._call)
        if self._reading is not None:
            # Its outcome belongs to nobody any more.
            await asyncio.gather(self._reading, return_exceptions=True)

    async def add_prefix(self, prefix: str, revision: int) -> None:
        """Ask for all changes under a prefix from `revision` on."""
        await self._add(_prefix_range(prefix), revision)

    async def add_key(self, key: str, revision: int) -> None:
        """Ask for all changes of one key from `revision` on."""
        await self._add(rpc.RangeRequest(key=key.encode()), revision)

    async def ask_for_progress(self) -> None:
        """Ask for any answer."""
        await self._write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    async def read(self, timeout_s: float) -> WatchMessage | None:
        """Return the next message, None if there is none for that long."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._call.read())
        # Not `wait_for`: cancelling a read would cancel the stream.
        done, _ = await asyncio.wait({self._reading}, timeout=timeout_s)
        if not done:
            return None
        message = self._reading.result()
        self._reading = None
        if message is grpc.aio.EOF:
            raise CoordinationUnavailable(f"{self._name}: it ended the watch stream")
        return _watch_message(message)

    async def _add(self, keys: Any, revision: int) -> None:
        create = rpc.WatchCreateRequest(
            key=keys.key, range_end=keys.range_end, start_revision=revision
        )
        await self._write(rpc.WatchRequest(create_request=create))

    async def _write(self, request: Any) -> None:
        try:
            await self._call.write(request)
        except asyncio.InvalidStateError:
            # This is how gRPC says that the stream has ended meanwhile.
            raise CoordinationUnavailable(f"{self._name}: the watch stream ended") from None


@dataclass(frozen=True, slots=True)
class WatchMessage:
    """What etcd said on a watch stream.

    Attributes:
        created: a watch that we asked for stands.
        cancelled: why a watch was ended, if it was.
        compacted: it was ended because its revision was compacted away.
        changes: in order.
    """

    created: bool
    cancelled: str | None
    compacted: bool
    changes: tuple[RevisedChange, ...]


async def _end(call: Any) -> None:
    """End a stream, and the tasks that gRPC runs for it."""
    call.cancel()
    await call.code()


def _watch_message(message: Any) -> WatchMessage:
    changes: list[RevisedChange] = []
    for event in message.events:
        revision = int(event.kv.mod_revision)
        deleted = event.type == rpc.Event.DELETE
        changes.append(
            (revision, Deleted(_text(event.kv.key)) if deleted else Put(_item(event.kv)))
        )
    return WatchMessage(
        created=bool(message.created),
        cancelled=(message.cancel_reason or "no reason given") if message.canceled else None,
        compacted=message.compact_revision != 0,
        changes=tuple(changes),
    )


def _answer(answer: Any, header: Any = None) -> Answer:
    # Within a transaction only the whole has a header with a term.
    header = header or answer.header
    position = Header(int(header.revision), int(header.raft_term))
    return Answer(position, tuple(_item(kv) for kv in answer.kvs))


def _item(kv: Any) -> KeyValue:
    return KeyValue(_text(kv.key), bytes(kv.value), int(kv.mod_revision))


def _text(key: bytes) -> str:
    # Other programs may put what they like into etcd; a key of theirs must not end our watch.
    return key.decode(errors="surrogateescape")


def _prefix_range(prefix: str) -> Any:
    start = prefix.encode()
    return rpc.RangeRequest(key=start or b"\0", range_end=end_of(start))


def _login_ran_out(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether etcd refused our token, which a restart and time both make worthless."""
    details = error.details() or ""
    # Members before 3.5 give the second of these no code of its own.
    return "invalid auth token" in details or ("revision" in details and "auth" in details)


def _channel_credentials(options: EtcdOptions) -> Any:
    if not options.tls:
        return None

    def content(path: Path | None) -> bytes | None:
        try:
            return None if path is None else path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read {path} for TLS to etcd: {error}") from error

    return grpc.ssl_channel_credentials(
        root_certificates=content(options.ca_file),
        private_key=content(options.key_file),
        certificate_chain=content(options.cert_file),
    )
