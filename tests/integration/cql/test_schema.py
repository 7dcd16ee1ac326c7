"""The tables, made by whoever comes first."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tally.store import cql_schema
from tally.store.base import Write
from tally.store.cql_cluster import CqlOptions
from tally.store.cql_session import CqlSession
from tally.store.open import open_store

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer

OPENER = Path(__file__).with_name("opener.py")


@pytest.fixture
async def session(cql_server: Server) -> AsyncIterator[CqlSession]:
    session = await CqlSession.connect(CqlOptions(hosts=cql_server.hosts, keyspace="any"))
    yield session
    await session.close()


async def start_at_once(url: str, processes: int) -> None:
    command = [sys.executable, str(OPENER), url]
    children = [
        await asyncio.create_subprocess_exec(*command, str(i), stderr=subprocess.PIPE)
        for i in range(processes)
    ]
    ends = await asyncio.wait_for(asyncio.gather(*(each.communicate() for each in children)), 90)
    assert [errors.decode() for _, errors in ends if errors] == []
    store = await open_store(url)
    assert [row.key for row in await store.scan("p")] == [f"{i}" for i in range(processes)]
    await store.close()


async def test_processes_that_start_at_once_share_one_schema_and_use_it_at_once(
    cql_server: Server,
) -> None:
    for _ in range(2):
        await start_at_once(f"{cql_server.url}/k{uuid.uuid4().hex}", 4)


@pytest.mark.slow
async def test_processes_that_start_at_once_on_three_nodes_share_one_schema(
    start_server: StartServer,
) -> None:
    server = await asyncio.to_thread(start_server, "cql", nodes=3)
    for host in server.hosts:  # so that each contacts another node first
        await start_at_once(f"cql://{host}/k{uuid.uuid4().hex}", 4)
    hosts = ",".join(reversed(server.hosts))
    await start_at_once(f"cql://{hosts}/k{uuid.uuid4().hex}", 6)


async def test_a_keyspace_is_made_with_the_copies_asked_for(
    cql_server: Server, session: CqlSession
) -> None:
    keyspace = f"k{uuid.uuid4().hex}"
    await cql_schema._make(session, keyspace, 3)  # one node cannot serve them, and need not
    assert await cql_schema._copies(session, keyspace) == 3
    await session.define(f"DROP KEYSPACE {keyspace}")


async def test_no_warning_where_the_commit_log_is_synced(cql_server: Server) -> None:
    with capture_logs() as logs:
        store = await open_store(f"{cql_server.url}/k{uuid.uuid4().hex}")
    assert logs == []
    await store.close()


async def test_a_commit_log_that_lags_is_warned_of(start_server: StartServer) -> None:
    extra = ["commitlog_sync: periodic", "commitlog_sync_period: 10s"]
    server = await asyncio.to_thread(start_server, "cql", extra=extra)
    with capture_logs() as logs:
        store = await open_store(f"{server.url}/k{uuid.uuid4().hex}")
    (entry,) = logs
    assert entry["log_level"] == "warning"
    assert entry["commitlog_sync"] == "periodic"
    assert await store.commit("p", [Write("k", None, b"v")])
    await store.close()
