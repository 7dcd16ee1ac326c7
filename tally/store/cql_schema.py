"""Our keyspace and tables, and whether the server can keep what `Store` promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from tally.errors import ConfigurationError, StoreUnavailable
from tally.store.cql_session import CqlFailure, CqlSession

_PATIENCE_S = 30.0  # a cluster on which others change the schema too is slow to answer
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 1.0
_ENOUGH_COPIES = 3  # one crash then loses nothing, whenever the commit log is written

log = structlog.get_logger()

# `blobs` lists what `chunks` may hold, since the parts of one blob are spread over all hosts.
_TABLES = {
    "records": "partition text, key text, value blob, stamp text, PRIMARY KEY (partition, key)",
    "blobs": "blob text PRIMARY KEY, parts int",
    "chunks": "blob text, part int, data blob, PRIMARY KEY ((blob, part))",
}
_NO_ROW = {
    "records": "partition = 'probe' AND key = 'probe'",
    "blobs": "blob = 'probe'",
    "chunks": "blob = 'probe' AND part = 0",
}


async def prepare(
    session: CqlSession, keyspace: str, replication: int, statements: Sequence[str] = ()
) -> None:
    """Make what is missing, safe beside other processes that do the same.

    Args:
        session: to the cluster.
        keyspace, replication: ours, and how many copies it has if it is made now.
        statements: made ready for `CqlSession.execute` once the tables are there.

    Raises:
        ConfigurationError: the server refuses something that we need.
        StoreUnavailable: the server does not answer.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + _PATIENCE_S
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            await _make(session, keyspace, replication)
            await _read(session, keyspace)
            await _probe(session, keyspace)
            await session.prepare(statements)
            await _warn_if_not_durable(session, keyspace)
            return
        except CqlFailure as failure:
            if failure.refused and not failure.missing:
                raise ConfigurationError(f"the store refused to prepare: {failure}") from failure
            if loop.time() > give_up:
                raise StoreUnavailable(f"the store cannot be prepared: {failure}") from failure
        await asyncio.sleep(pause_s)
        pause_s = min(_LAST_PAUSE_S, 2 * pause_s)


async def _make(session: CqlSession, keyspace: str, replication: int) -> None:
    # Asked first, because a user who may read and write may not be allowed to define.
    if not await session.query(
        "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = %s", keyspace
    ):
        copies = f"{{'class': 'NetworkTopologyStrategy', 'replication_factor': {replication}}}"
        text = f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {copies}"
        if await _has_tablets(session):
            # Conditional writes need them off on all but the latest versions of ScyllaDB.
            text += " AND tablets = {'enabled': false}"
        await session.define(text)
        await session.agree()
    found = await session.query(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", keyspace
    )
    present = {row["table_name"] for row in found}
    for name, columns in _TABLES.items():
        if name not in present:
            await session.define(f"CREATE TABLE IF NOT EXISTS {keyspace}.{name} ({columns})")
    # Also where nothing was missing: the host that said so may be ahead of the others.
    await session.agree()


async def _has_tablets(session: CqlSession) -> bool:
    found = await session.query(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system'"
    )
    return "tablets" in {row["table_name"] for row in found}


async def _read(session: CqlSession, keyspace: str) -> None:
    """Read from every table through every host.

    A host lists a table that another process makes a moment before it can use it. Asked to
    prepare a statement then, it refuses, which the driver logs as an error.
    """
    for table, no_row in _NO_ROW.items():
        text = f"SELECT * FROM {keyspace}.{table} WHERE {no_row}"  # noqa: S608 - the name was checked
        await session.query_each_host(text)


async def _probe(session: CqlSession, keyspace: str) -> None:
    """Try a conditional write whose condition cannot hold."""
    text = (
        f"UPDATE {keyspace}.records SET stamp = 'probe' "  # noqa: S608 - the name was checked
        "WHERE partition = 'probe' AND key = 'probe' IF stamp = 'never'"
    )
    try:
        await session.query(text)
    except CqlFailure as failure:
        if failure.refused and not failure.missing:
            raise ConfigurationError(
                f"the store refuses conditional writes in keyspace {keyspace}, which Tally rests "
                f"on (ScyllaDB: make the keyspace with tablets disabled): {failure}"
            ) from failure
        raise


async def _warn_if_not_durable(session: CqlSession, keyspace: str) -> None:
    sync = await _commitlog_sync(session)
    if (
        sync is None
        or sync in ("batch", "group")
        or await _copies(session, keyspace) >= (_ENOUGH_COPIES)
    ):
        return
    log.warning(
        "the store acknowledges writes before they are on disk: a crash of its host may lose the "
        "last moments; set commitlog_sync to batch, or keep three copies",
        commitlog_sync=sync,
        keyspace=keyspace,
    )


async def _commitlog_sync(session: CqlSession) -> str | None:
    # Cassandra's table, then ScyllaDB's; either may be closed to us.
    for table in ("system_views.settings", "system.config"):
        try:
            found = await session.query(
                f"SELECT value FROM {table} WHERE name = 'commitlog_sync'"  # noqa: S608
            )
        except CqlFailure as failure:
            if not failure.refused:
                raise
            continue
        for row in found:
            return str(row["value"]).strip('"').lower()
    return None


async def _copies(session: CqlSession, keyspace: str) -> int:
    (row,) = await session.query(
        "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s", keyspace
    )
    return max((int(v) for v in row["replication"].values() if str(v).isdecimal()), default=1)
