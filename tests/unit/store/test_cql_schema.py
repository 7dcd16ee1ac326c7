"""What is asked of servers that the integration tests cannot start: ScyllaDB, and refusing ones."""

from __future__ import annotations

from collections.abc import Iterable
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

    async def prepare(self, statements: Iterable[str]) -> None:
        assert list(statements) == []


async def prepare(server: Recorded) -> None:
    await cql_schema.prepare(cast(CqlSession, server), "tally", 2)


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


async def test_a_table_that_a_busy_host_does_not_know_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cql_schema, "_PAUSE_S", 0.0)
    server = Slow(answers_missing=2)
    await prepare(server)
    assert server.answers_missing == 0


async def test_a_table_that_never_comes_ends_the_start_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cql_schema, "_PAUSE_S", 0.0)
    with pytest.raises(StoreUnavailable, match="table chunks does not exist"):
        await prepare(Slow(answers_missing=100))


class Slow(Recorded):
    """A server on which another process has only just made the tables."""

    def __init__(self, *, answers_missing: int) -> None:
        super().__init__()
        self.answers_missing = answers_missing

    async def prepare(self, statements: Iterable[str]) -> None:
        if self.answers_missing:
            self.answers_missing -= 1
            raise CqlFailure(InvalidRequest("table chunks does not exist"))
