"""The part of cassandra-driver that we use, typed, bounded, and awaitable.

The driver is untyped and calls back from a thread of its own. It promises no back-pressure, so
both kinds of request have their slots here: small ones, and chunks of blobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    InvalidRequest,
    Unauthorized,
    Unavailable,
    UnresolvableContactPoints,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionBusy
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import SyntaxException
from cassandra.query import BatchStatement

from tally.errors import ConfigurationError, StoreUnavailable
from tally.store.cql_cluster import CqlCluster, CqlOptions

_BUSY_S = 10.0  # how long a request waits for a slot, or for a socket that is full
_DEFINE_S = 30.0
_SMALL_SLOTS = 256
_LARGE_SLOTS = 4  # more chunks of 512 KiB at once only fill the socket
# Cassandra speaks of what does not, or doesn't, exist; ScyllaDB of unconfigured tables.
_MISSING = re.compile("(does not|doesn't) exist|unconfigured table")

Record = Mapping[str, Any]
"""One row of an answer, by column."""

Statement = tuple[str, Sequence[object]]
"""The text of a prepared statement, and its values."""


class CqlFailure(Exception):
    """A request that did not succeed.

    Attributes:
        unsent: it certainly changed nothing; otherwise it may still be carried out.
        refused: the server understood it and said no: trying again is of no use.
        missing: refused, since a table or the keyspace is not there; or not yet, as on a busy
            host when another process has only just made it.
    """

    def __init__(self, cause: BaseException) -> None:
        # With FallthroughRetryPolicy, NoHostAvailable means that no host was ever sent it.
        self.refused = isinstance(cause, InvalidRequest | Unauthorized | SyntaxException)
        self.missing = self.refused and _MISSING.search(str(cause)) is not None
        self.unsent = self.refused or isinstance(cause, NoHostAvailable | Unavailable)
        self.busy = isinstance(cause, NoHostAvailable) and _is_busy(cause)
        super().__init__(_sentence(cause))


class CqlSession:
    """Connections to one cluster, used from the event loop that made it."""

    def __init__(self, cluster: CqlCluster, session: Any) -> None:
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
        cluster = CqlCluster(options)
        try:
            session = await cluster.connect()
        except (NoHostAvailable, UnresolvableContactPoints, OSError) as error:
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
        control = self._cluster.driver.control_connection
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

    async def query_each_host(self, text: str) -> None:
        """Run a statement through every host that is connected, one after the other."""
        for host, pool in self._session.get_pool_state().items():
            if pool["open_count"]:
                try:
                    await asyncio.to_thread(self._session.execute, text, host=host)
                except Exception as error:
                    raise CqlFailure(error) from error

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
            await self._cluster.close()

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
