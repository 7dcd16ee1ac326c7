"""The part of cassandra-driver that we use, typed, bounded, and awaitable.

The driver is untyped and calls back from a thread of its own. It promises no back-pressure, so
both kinds of request have their slots here: small ones, and chunks of blobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    InvalidRequest,
    ProtocolVersion,
    Unauthorized,
    Unavailable,
    UnresolvableContactPoints,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
)
from cassandra.connection import ConnectionBusy
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    TokenAwarePolicy,
)
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import SyntaxException
from cassandra.query import BatchStatement, dict_factory

from tally.errors import ConfigurationError, StoreUnavailable

_DEFAULT_PORT = 9042
_CONNECT_S = 5.0
_BUSY_S = 10.0  # how long a request waits for a slot, or for a socket that is full
_DEFINE_S = 30.0
_RECONNECT_S = 0.5
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_SMALL_SLOTS = 256
_LARGE_SLOTS = 4  # more chunks of 512 KiB at once only fill the socket

Record = Mapping[str, Any]
"""One row of an answer, by column."""

Statement = tuple[str, Sequence[object]]
"""The text of a prepared statement, and its values."""


@dataclass(frozen=True, slots=True)
class CqlOptions:
    """Where the cluster is and how to log in.

    Attributes:
        hosts: `host` or `host:port`, IPv6 in brackets; one that answers is enough.
        keyspace: ours; made if it is missing.
        replication: copies of each row in a keyspace that we make.
        timeout_s: of a request. The servers give up after 2 s by default, and then say so.
    """

    hosts: Sequence[str]
    keyspace: str
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    replication: int = 1
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what would become a part of a statement, and cannot."""
        if not _NAME.fullmatch(self.keyspace):
            raise ConfigurationError(
                f"store URL: keyspace {self.keyspace!r} must match {_NAME.pattern}, "
                "as in cql://host/tally"
            )
        if self.replication < 1:
            raise ConfigurationError(f"store replication: {self.replication} is not 1 or more")


class CqlFailure(Exception):
    """A request that did not succeed.

    Attributes:
        unsent: it certainly changed nothing; otherwise it may still be carried out.
        refused: the server understood it and said no: trying again is of no use.
        missing: refused, since a table is not there; or not yet, as on a busy host when another
            process has only just made it.
    """

    def __init__(self, cause: BaseException) -> None:
        # With FallthroughRetryPolicy, NoHostAvailable means that no host was ever sent it.
        self.refused = isinstance(cause, InvalidRequest | Unauthorized | SyntaxException)
        self.missing = self.refused and "does not exist" in str(cause)
        self.unsent = self.refused or isinstance(cause, NoHostAvailable | Unavailable)
        self.busy = isinstance(cause, NoHostAvailable) and _is_busy(cause)
        super().__init__(_sentence(cause))


class CqlSession:
    """Connections to one cluster, used from the event loop that made it."""

    def __init__(self, cluster: Any, session: Any) -> None:
        self._cluster = cluster
        self._session = session
        self._prepared: dict[str, Any] = {}
        self._small = asyncio.Semaphore(_SMALL_SLOTS)
        self._large = asyncio.Semaphore(_LARGE_SLOTS)
        self._closed = False

    @classmethod
    async def connect(cls, options: CqlOptions) -> CqlSession:
        """Return a session on a cluster that answers.

        Raises:
            ConfigurationError: an option cannot be used, or the login was refused.
            StoreUnavailable: no host answers.
        """
        cluster = _cluster(options)
        try:
            session = await asyncio.to_thread(cluster.connect, wait_for_all_pools=True)
        except (NoHostAvailable, UnresolvableContactPoints, OSError) as error:
            await asyncio.to_thread(cluster.shutdown)
            causes = error.errors.values() if isinstance(error, NoHostAvailable) else ()
            if any(isinstance(cause, AuthenticationFailed) for cause in causes):
                raise ConfigurationError(
                    f"the store {','.join(options.hosts)} refused user {options.user!r}: "
                    "check the user and the password"
                ) from None  # the cause may quote what was sent
            if any(isinstance(cause, ssl.SSLError) for cause in causes):
                raise ConfigurationError(
                    f"no TLS connection to the store {','.join(options.hosts)}: {_sentence(error)}"
                ) from error
            raise StoreUnavailable(
                f"the store {','.join(options.hosts)} cannot be reached: {_sentence(error)}"
            ) from error
        return cls(cluster, session)

    async def prepare(self, texts: Iterable[str]) -> None:
        """Make statements ready for `execute`."""
        for text in texts:
            try:
                self._prepared[text] = await asyncio.to_thread(self._session.prepare, text)
            except Exception as error:
                raise CqlFailure(error) from error

    async def define(self, text: str) -> None:
        """Change the schema.

        Every process sends this to the same host, which does one such change at a time: two
        hosts that make one table at once would give it two identities.
        """
        connected = self._session.get_pool_state()
        first = min(connected, key=lambda host: str(host.endpoint), default=None)
        try:
            await asyncio.to_thread(self._session.execute, text, timeout=_DEFINE_S, host=first)
        except Exception as error:
            raise CqlFailure(error) from error

    async def agree(self) -> None:
        """Wait until all hosts know what was defined, by us or by another process."""
        control = self._cluster.control_connection
        try:
            agreed = await asyncio.to_thread(control.wait_for_schema_agreement, wait_time=_DEFINE_S)
        except Exception as error:
            raise CqlFailure(error) from error
        if not agreed:
            raise StoreUnavailable(f"its hosts did not agree on a schema within {_DEFINE_S} s")

    async def query(self, text: str, *values: object) -> list[Record]:
        """Run a statement that is not worth preparing."""
        try:
            result = await asyncio.to_thread(self._session.execute, text, values or None)
        except Exception as error:
            raise CqlFailure(error) from error
        return list(result)

    async def execute(
        self,
        *statements: Statement,
        serial: bool = False,
        large: bool = False,
        page: int | None = None,
    ) -> list[Record]:
        """Run one prepared statement, or several as one batch, and return all rows.

        Args:
            statements: each with its values.
            serial: a read that first decides the conditional writes under way.
            large: the request or its answer is a chunk of a blob.
            page: rows to fetch at once.

        Raises:
            CqlFailure: it did not succeed.
        """
        request = self._request(statements, serial, page)
        slots = self._large if large else self._small
        give_up = asyncio.get_running_loop().time() + _BUSY_S
        pause_s = 0.005
        while True:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            try:
                async with asyncio.timeout_at(give_up):
                    await slots.acquire()
            except TimeoutError:
                raise StoreUnavailable("too many requests wait for the store") from None
            try:
                return await self._sent(request, slots)
            except CqlFailure as failure:
                # The socket is full: the driver does not queue, and nothing was sent.
                if not failure.busy or asyncio.get_running_loop().time() > give_up:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(0.1, pause_s * 2)

    async def close(self) -> None:
        """End all connections."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._cluster.shutdown)

    def _request(self, statements: Sequence[Statement], serial: bool, page: int | None) -> Any:
        if len(statements) == 1:
            text, values = statements[0]
            request = self._prepared[text].bind(values)
            request.fetch_size = page
        else:
            request = BatchStatement(consistency_level=ConsistencyLevel.LOCAL_QUORUM)
            for text, values in statements:
                request.add(self._prepared[text], values)
        request.serial_consistency_level = ConsistencyLevel.LOCAL_SERIAL
        if serial:
            request.consistency_level = ConsistencyLevel.LOCAL_SERIAL
        return request

    async def _sent(self, request: Any, slots: asyncio.Semaphore) -> list[Record]:
        """Send a request and await its end; its slot is free when the *driver* is done with it.

        So a cancelled caller does not let one more request in beside its own.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Record]] = loop.create_future()
        rows: list[Record] = []
        response = self._session.execute_async(request)

        def settle(error: BaseException | None) -> None:
            slots.release()
            if answer.done():
                return
            if error is None:
                answer.set_result(rows)
            else:
                answer.set_exception(CqlFailure(error))

        def finish(error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop ended before its requests did
                loop.call_soon_threadsafe(settle, error)

        def arrived(page: Iterable[Record] | None) -> None:
            rows.extend(page or ())
            if response.has_more_pages:
                response.start_fetching_next_page()
            else:
                finish(None)

        response.add_callbacks(arrived, finish)
        return await answer


def _cluster(options: CqlOptions) -> Any:
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
        # A conditional write that is sent twice would be refused by its own first success.
        retry_policy=FallthroughRetryPolicy(),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=options.timeout_s,
        row_factory=dict_factory,
    )
    return Cluster(
        contact_points=[_address(host) for host in options.hosts],
        auth_provider=PlainTextAuthProvider(options.user, options.password or "")
        if options.user
        else None,
        ssl_context=_tls(options),
        connection_class=LibevConnection,
        protocol_version=ProtocolVersion.V4,  # the newest that both servers speak
        # Without it a request larger than a segment waits 40 ms for its acknowledgement.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        reconnection_policy=ConstantReconnectionPolicy(_RECONNECT_S, max_attempts=None),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=_CONNECT_S,
        control_connection_timeout=_CONNECT_S,
    )


def _address(host: str) -> tuple[str, int]:
    name, separator, port = host.rpartition(":")
    if not separator or host.endswith("]"):
        name, port = host, str(_DEFAULT_PORT)
    name = name.removeprefix("[").removesuffix("]")
    if not name or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"store URL: {host!r} is not host:port")
    return name, int(port)


def _tls(options: CqlOptions) -> ssl.SSLContext | None:
    if options.ca_file is None:
        if options.cert_file is not None:
            raise ConfigurationError("a certificate for the store needs its authority's file too")
        return None
    try:
        context = ssl.create_default_context(cafile=str(options.ca_file))
        if options.cert_file is not None:
            context.load_cert_chain(options.cert_file, options.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"TLS files of the store: {error}") from error
    return context


def _is_busy(error: Any) -> bool:
    causes = list(error.errors.values())
    return bool(causes) and all(
        isinstance(cause, ConnectionBusy | NoConnectionsAvailable) for cause in causes
    )


def _sentence(error: BaseException) -> str:
    if isinstance(error, NoHostAvailable):
        causes = {f"{type(cause).__name__}: {cause}" for cause in error.errors.values()}
        return "; ".join(sorted(causes)) or "no host is up"
    return f"{type(error).__name__}: {error}"
