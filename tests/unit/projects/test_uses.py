from __future__ import annotations

import pytest

from tally.projects import uses as module
from tally.projects.records import Use, project_partition
from tally.projects.uses import Uses
from tally.store.sqlite import SqliteStore
from tally.wire.projects import ProjectUuid

PROJECT = ProjectUuid("ab" * 16)


def use(name: str = "x", rows: int = 1) -> Use:
    return Use(
        client="c",
        op="learn",
        status="OK",
        names=(name,),
        types="C",
        count=1,
        rows=rows,
        process_ms=2,
    )


async def commit(store: SqliteStore, uses: Uses, *calls: Use) -> None:
    counts = uses.with_(calls)
    tokens = await store.commit(project_partition(PROJECT), uses.writes(counts))
    assert tokens is not None
    uses.committed(counts, tokens)


async def test_calls_that_are_alike_are_one_row(store: SqliteStore) -> None:
    uses = Uses()
    await commit(store, uses, use(rows=2), use(rows=3), use("y"))
    await commit(store, uses, use(rows=5))
    loaded = Uses()
    await loaded.load(store, PROJECT)
    assert loaded.all() == uses.all()
    [x] = [one for one in loaded.all() if one.names == ("x",)]
    assert (x.count, x.rows, x.process_ms) == (3, 10, 6)


async def test_calls_noted_in_memory_are_written_by_the_next_commit(store: SqliteStore) -> None:
    uses = Uses()
    uses.note([use()])
    uses.note([use()])
    await commit(store, uses, use())
    loaded = Uses()
    await loaded.load(store, PROJECT)
    [x] = loaded.all()
    assert x.count == 3


async def test_calls_of_a_commit_that_failed_are_not_counted(store: SqliteStore) -> None:
    uses = Uses()
    uses.writes(uses.with_([use()]))
    await commit(store, uses, use())
    [x] = uses.all()
    assert x.count == 1


async def test_there_are_only_so_many_kinds(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_USES", 5)
    uses = Uses()
    for number in range(20):
        await commit(store, uses, use(f"x{number}"))
    assert len(uses.all()) == 6
    [rest] = [one for one in uses.all() if not one.names]
    assert (rest.count, rest.rows) == (15, 15)


async def test_the_memory_of_a_kind_of_calls_counts_once_with_its_names(store: SqliteStore) -> None:
    uses = Uses()
    assert uses.size_bytes == 0
    await commit(store, uses, use("x" * 5000))
    size = uses.size_bytes
    assert size > 5000
    uses.note([use("x" * 5000)])
    await commit(store, uses, use("x" * 5000))
    assert uses.size_bytes == size
    uses.note([use("y" * 5000)])
    assert uses.size_bytes == 2 * size
    loaded = Uses()
    await loaded.load(store, PROJECT)
    assert loaded.size_bytes == size
