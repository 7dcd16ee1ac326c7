"""The driver's connections to one cluster: made as our options say, and ended, all of them."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from cassandra import ConsistencyLevel, ProtocolVersion
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.connection import ConnectionShutdown
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    TokenAwarePolicy,
)
from cassandra.query import dict_factory

from tally.errors import ConfigurationError

_DEFAULT_PORT = 9042
_CONNECT_S = 5.0
_RECONNECT_S = 0.5
_END_S = 20.0  # longer than the driver's own waits, which end with their connections
_END_PAUSE_S = 0.1
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")

log = structlog.get_logger()


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


class CqlCluster:
    """One cluster as the driver sees it.

    Attributes:
        driver: the driver's object; untyped.
    """

    def __init__(self, options: CqlOptions) -> None:
        self._connections = _Connections()
        self.driver = _cluster(options, self._connections.kind())

    async def connect(self) -> Any:
        """Return a session of the driver, connected to all hosts that are up.

        Raises:
            Exception: whatever the driver raises; nothing is left open then.
        """
        try:
            return await asyncio.to_thread(self.driver.connect, wait_for_all_pools=True)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End all connections, and every request that still waits for an answer."""
        # Not on a thread of the event loop, which would wait for it at the end of the process.
        ending = threading.Thread(target=self.driver.shutdown, name="cql-shutdown", daemon=True)
        ending.start()
        await asyncio.to_thread(self._end, ending)

    def _end(self, ending: threading.Thread) -> None:
        give_up = time.monotonic() + _END_S
        while ending.is_alive() and time.monotonic() < give_up:
            ending.join(_END_PAUSE_S)
            # What the driver waits for in there will not come over a connection that is closed.
            self._connections.end()
        # Also those that the driver was making meanwhile; it has no memory of them.
        self._connections.end()
        if ending.is_alive():
            log.warning("the store's driver goes on after its end", after_s=_END_S)


class _Connections:
    """All connections that the driver makes for one cluster.

    It loses sight of one that it makes while it is being shut down, such as a control connection
    after a fault, and leaves it open for as long as the process lives.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: weakref.WeakSet[Any] = weakref.WeakSet()
        self._ended = False

    def kind(self) -> type:
        """Return the class that the driver shall make its connections of."""
        add = self._add

        class Connection(LibevConnection):  # type: ignore[misc]  # the driver is untyped
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                add(self)

        return Connection

    def end(self) -> None:
        """Close those there are, and from now on every new one."""
        with self._lock:
            self._ended = True
            made = list(self._made)
        for connection in made:
            _end(connection)

    def _add(self, connection: Any) -> None:
        with self._lock:
            self._made.add(connection)
            ended = self._ended
        if ended:
            _end(connection)


def _end(connection: Any) -> None:
    # Unlike `close`, this also wakes whoever waits for the connection to be ready.
    connection.defunct(ConnectionShutdown("the store is closed"))


def _cluster(options: CqlOptions, connection: type) -> Any:
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
        connection_class=connection,
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
