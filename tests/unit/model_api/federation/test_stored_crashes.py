"""A home that ends at any call of the store leaves a state that was, or that is, and no more."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from model_api.projects.homes import Homes
from model_api.sweep import Sweep
from tally.clock import ManualClock
from tally.errors import StoreUnavailable, TallyError
from tally.ids import BlobId
from tally.projects.graves import Graves
from tally.projects.projects import Projects
from tally.projects.records import project_partition
from tally.projects.references import referenced
from tally.store.base import Blob, Check, Row, Token, Write
from tally.store.sqlite import SqliteStore
from tally.wire.projects import ProjectUuid
from tests.unit.model_api.federation.acts import (
    LARGE,
    SMALL,
    federated,
    learned,
    noise,
    peer,
    rebuilt,
    told,
)
from tests.unit.model_api.projects.acts import Nodes, rows, worker

Prepare = Callable[[Homes], Awaitable[ProjectUuid]]
Act = Callable[[Homes, ProjectUuid], Awaitable[object]]


class Dying(SqliteStore):
    """A store that answers so many calls and then none, as to a process that was killed.

    Attributes:
        left: calls that it answers yet; None: all.
        last_is_done: the first one that it does not answer has an effect all the same.
        calls: so far.
    """

    left: int | None = None
    last_is_done = False
    calls = 0

    def _dies(self) -> bool:
        self.calls += 1
        if self.left is None:
            return False
        self.left -= 1
        if self.left < -1 or (self.left == -1 and not self.last_is_done):
            raise StoreUnavailable("killed")
        return self.left == -1

    async def get(self, partition: str, key: str, *, fresh: bool = False) -> Row | None:
        self._dies()
        return await super().get(partition, key, fresh=fresh)

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        dies = self._dies()
        done = await super().commit(partition, writes, checks)
        if dies:
            raise StoreUnavailable("killed")
        return done

    async def put_blob(self, blob: BlobId, data: bytes) -> Blob:
        dies = self._dies()
        done = await super().put_blob(blob, data)
        if dies:
            raise StoreUnavailable("killed")
        return done

    async def delete_blob(self, blob: BlobId) -> None:
        self._dies()
        await super().delete_blob(blob)


async def _prepared(homes: Homes) -> ProjectUuid:
    """Return a project that holds large and small statistics, and a large view."""
    project = await federated(homes, learned(70))
    await homes.change(project, peer(noise(1, LARGE), noise(2, LARGE), noise(3, SMALL)), "")
    await homes.change(project, rebuilt(70), "")
    return project


async def _arrives(homes: Homes, project: ProjectUuid) -> None:
    """One peer's statistics are replaced, another's stay."""
    await homes.change(project, peer(noise(4, LARGE), noise(2, LARGE), noise(3, SMALL)), "")


async def _many_arrive(homes: Homes, project: ProjectUuid) -> None:
    new = [noise(seed, LARGE) for seed in (5, 6, 7)] + [noise(8, SMALL)]
    await homes.change(project, peer(*new), "")


async def _is_rebuilt(homes: Homes, project: ProjectUuid) -> None:
    await homes.change(project, rebuilt(80), "")


async def _learns_and_steps(homes: Homes, project: ProjectUuid) -> None:
    """All in one commit, which has a large snapshot, too."""
    await asyncio.gather(
        homes.change(project, rows("a"), "1"),
        homes.change(project, peer(noise(9, LARGE)), ""),
        homes.change(project, rebuilt(80), ""),
    )


async def _fresh(homes: Homes) -> ProjectUuid:
    """Return a project whose state is in one piece yet, as it was made."""
    return await federated(homes, learned(70))


STORIES = [
    (_prepared, _arrives),
    (_prepared, _many_arrive),
    (_prepared, _is_rebuilt),
    (_prepared, _learns_and_steps),
    (_fresh, _many_arrive),
]


@pytest.mark.parametrize(
    ("prepare", "act"), STORIES, ids=lambda function: function.__name__.strip("_")
)
async def test_a_home_that_is_killed_at_any_step_has_saved_all_or_nothing(
    prepare: Prepare, act: Act, tmp_path: Path, clock: ManualClock
) -> None:
    base = tmp_path / "base.db"
    before, after, calls, project = await _story(base, prepare, act, clock)
    assert before != after
    seen = set()
    for left in range(calls):
        for last_is_done in (False, True):
            path = tmp_path / f"{left}{last_is_done}.db"
            shutil.copy(base, path)
            acknowledged = await _killed(path, act, project, clock, left, last_is_done=last_is_done)
            found = await _found(path, project, clock)
            assert found in (before, after)
            assert found == after or not acknowledged
            seen.add(found == after)
            path.unlink()
    assert seen == {False, True}


async def _story(
    path: Path, prepare: Prepare, act: Act, clock: ManualClock
) -> tuple[bytes, bytes, int, ProjectUuid]:
    """Make a project as it is before an act; return that, what comes of it, and its calls."""
    store = Dying(path)
    async with worker(store, clock, Nodes()) as homes:
        project = await prepare(homes)
        before = await told(homes, project)
    await store.close()
    other = path.with_name("other.db")
    shutil.copy(path, other)
    store = Dying(other)
    async with worker(store, clock, Nodes()) as homes:
        assert await told(homes, project) == before
        store.calls = 0
        await act(homes, project)
        calls = store.calls
        after = await told(homes, project)
    await store.close()
    assert await _found(other, project, clock) == after
    return before, after, calls, project


async def _killed(
    path: Path, act: Act, project: ProjectUuid, clock: ManualClock, left: int, *, last_is_done: bool
) -> bool:
    """Let a home end in the middle of an act; return whether the act was acknowledged."""
    store = Dying(path)
    acknowledged = True
    async with worker(store, clock, Nodes()) as homes:
        await told(homes, project)
        store.left, store.last_is_done = left, last_is_done
        try:
            await act(homes, project)
        except TallyError:
            acknowledged = False
    await store.close()
    return acknowledged


async def _found(path: Path, project: ProjectUuid, clock: ManualClock) -> bytes:
    """Return what the next home finds; at the end nothing is left of the project."""
    store = SqliteStore(path)
    sweep = Sweep(store, [referenced], clock, age_s=1.0)
    await sweep.look()
    await clock.advance(1.0)
    await sweep.look()
    blobs = {blob async for blob in store.blobs()}
    assert blobs <= {blob async for blob in referenced(store)}
    async with worker(store, clock, Nodes(), "b_1") as homes:
        found = await told(homes, project)
        # What an act that was cut off has put is not kept for ever.
        await homes.change(project, peer(noise(10, LARGE)), "")
        await homes.delete(project, "")
    projects = Projects(store, clock)
    graves = Graves(projects, clock, 1.0)
    await graves.tidy()
    await clock.advance(1.0)
    assert await graves.tidy() == 1
    await sweep.look()
    await clock.advance(1.0)
    await sweep.look()
    assert [blob async for blob in store.blobs()] == []
    assert await store.scan(project_partition(project)) == []
    await store.close()
    return found
