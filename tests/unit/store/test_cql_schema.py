"""What is asked of servers that the integration tests cannot start: ScyllaDB, and refusing ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import pytest
from cassandra import InvalidRequest, Unavailable, WriteTimeout, WriteType
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionBusy, ConnectionShutdown
from structlog.testing import capture_logs

from tally.errors import ConfigurationError, StoreUnavailable
from tally.store import cql_schema
from tally.store.cql_session import CqlFailure, CqlSession, Record


class Recorded:
    """A server that knows the tables of ScyllaDB, by what it answers and refuses."""

    def __init__(self, *, refused: str = "nothing", copies: str = "1") -> None:
        self.defined: list[str] = []
        self.prepared: set[str] = set()
        self._refused = refused
        self._copies = copies

    async def query(self, text: str, *values: object) -> list[Record]:
        if self._refused in text or "system_views" in text:
            raise CqlFailure(InvalidRequest("no"))
        if "system.config" in text:
            return [{"value": '"periodic"'}]
        if "SELECT replication" in text:
            return [{"replication": {"class": "NetworkTopologyStrategy", "dc1": self._copies}}]
        if "keyspace_name = 'system'" in text:
            return [{"table_name": "tablets"}]
        return []

    async def define(self, text: str) -> None:
        self.defined.append(text)

    async def agree(self) -> None:
        pass

    async def query_each_host(self, text: str) -> None:
        await self.query(text)

    async def prepare(self, texts: Iterable[str]) -> None:
        self.prepared |= set(texts)


async def prepare(server: Recorded, statements: Sequence[str] = ()) -> None:
    await cql_schema.prepare(cast(CqlSession, server), "tally", 2, statements)


async def test_tablets_are_off_where_there_are_tablets() -> None:
    server = Recorded()
    await prepare(server)
    assert server.defined[0].endswith("'replication_factor': 2} AND tablets = {'enabled': false}")
    assert len(server.defined) == 4


async def test_a_server_without_conditional_writes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="refuses conditional writes in keyspace tally"):
        await prepare(Recorded(refused="IF stamp"))


@pytest.mark.parametrize(("copies", "warnings"), [("1", 1), ("2", 1), ("3", 0)])
async def test_a_commit_log_that_lags_is_warned_of_below_three_copies(
    copies: str, warnings: int
) -> None:
    with capture_logs() as logs:
        await prepare(Recorded(copies=copies))
    assert [entry["commitlog_sync"] for entry in logs] == ["periodic"] * warnings


async def test_a_setting_that_cannot_be_read_is_no_reason_to_warn() -> None:
    with capture_logs() as logs:
        await prepare(Recorded(refused="system.config"))
    assert logs == []


@pytest.mark.parametrize(
    ("error", "unsent", "busy"),
    [
        (NoHostAvailable("", {"h": ConnectionBusy("full")}), True, True),
        (NoHostAvailable("", {"h": ConnectionBusy("full"), "i": OSError()}), True, False),
        (NoHostAvailable("", {}), True, False),
        (Unavailable("2 of 3 hosts are down"), True, False),
        (InvalidRequest("no such table"), True, False),
        (WriteTimeout("lost", write_type=WriteType.CAS), False, False),
        (ConnectionShutdown("lost"), False, False),
        (RuntimeError("anything else"), False, False),
    ],
)
def test_only_what_was_certainly_not_sent_counts_as_unsent(
    error: Exception, unsent: bool, busy: bool
) -> None:
    failure = CqlFailure(error)
    assert (failure.unsent, failure.busy) == (unsent, busy)


class Slow(Recorded):
    """A server on which another process has only just made the tables."""

    def __init__(self, *, missing_from: str, times: int) -> None:
        super().__init__()
        self._missing_from = missing_from
        self._times = times

    async def query_each_host(self, text: str) -> None:
        self._stumble(text)

    async def prepare(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._stumble(text)
            self.prepared.add(text)

    def _stumble(self, text: str) -> None:
        if self._times and self._missing_from in text:
            self._times -= 1
            raise CqlFailure(InvalidRequest("table chunks does not exist"))


async def test_nothing_is_prepared_before_every_table_can_be_read() -> None:
    server = Slow(missing_from="SELECT * FROM tally.chunks", times=2)
    await prepare(server, ["a", "b", "c"])
    assert server.prepared == {"a", "b", "c"}


async def test_every_statement_is_prepared_also_when_one_has_to_wait_for_its_table() -> None:
    server = Slow(missing_from="b", times=2)
    await prepare(server, ["a", "b", "c"])
    assert server.prepared == {"a", "b", "c"}


async def test_a_table_that_never_comes_ends_the_start_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cql_schema, "_PATIENCE_S", 0.0)
    with pytest.raises(StoreUnavailable, match="table chunks does not exist"):
        await prepare(Slow(missing_from="chunks", times=1_000_000))


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ("table chunks does not exist", True),
        ("Keyspace 'tally' doesn't exist", True),
        ("unconfigured table chunks", True),
        ("Undefined column name payload", False),
    ],
)
def test_what_is_missing_is_told_from_what_is_refused(said: str, missing: bool) -> None:
    assert CqlFailure(InvalidRequest(said)).missing is missing
