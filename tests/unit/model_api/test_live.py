from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from model_api.heads import Heads
from model_api.live import Live
from tally.announce import announce, withdraw
from tally.clock import ManualClock
from tally.codec.binary import decode, encode
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import CorruptState, NotFound, StoreUnavailable
from tally.forecast.base import State
from tally.ids import ModelUuid
from tally.ledger import Ledger
from tally.ledger.records import FitState, Head
from tests.unit.model_api.acts import (
    Troubled,
    blob_of,
    eventually,
    publish,
    running,
    until,
    until_later,
)

GRACE_S = 10.0


class Changes:
    """Counts what a worker would have announced."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def live(ledger: Ledger, clock: ManualClock, changes: Changes) -> Live:
    return Live(ledger, clock, grace_s=GRACE_S, extra=2, changed=changes)


@pytest.fixture
def heads(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, clock: ManualClock
) -> Heads:
    return Heads(ledger, coordinator, live, clock)


async def told(ledger: Ledger, coordinator: EmbeddedCoordinator, model: ModelUuid) -> None:
    head = await ledger.versions.head(model)
    assert head is not None
    assert await announce(coordinator, model, head)


async def closed(ledger: Ledger) -> bool:
    return not [entry async for entry in ledger.fits.open.walk()]


def serves(live: Live, model: ModelUuid, version: int) -> Callable[[], bool]:
    return lambda: model in live.serving and live.serving[model].version == version


async def test_an_announced_head_is_loaded_served_and_its_fit_marked_so(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads, changes: Changes
) -> None:
    fit = await publish(ledger, level=100.0)
    await told(ledger, coordinator, fit.model)
    async with running(heads.run, live.run):
        await until(serves(live, fit.model, 1), "version 1 is served")
        loaded = await live.get(fit.model, 1)
        assert loaded.model.forecast(3, ()).mean.min() > 90
        assert changes.count == 1
        await eventually(lambda: closed(ledger), "the fit is closed")
    assert (await ledger.fits.get(fit.id)).state is FitState.SERVED


async def test_the_version_before_stays_for_the_grace_and_then_goes(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    live: Live,
    heads: Heads,
    clock: ManualClock,
    store: Troubled,
) -> None:
    model = (await publish(ledger)).model
    await told(ledger, coordinator, model)
    async with running(heads.run, live.run):
        await until(serves(live, model, 1), "version 1 is served")
        await publish(ledger)
        await told(ledger, coordinator, model)
        await until(serves(live, model, 2), "version 2 is served")
        assert live.loaded == {(model, 1), (model, 2)}
        await clock.advance(GRACE_S * 0.9)
        reads = store.reads
        assert (await live.get(model, 1)).manifest.version == 1
        assert store.reads == reads
        await clock.advance(GRACE_S)
        assert live.loaded == {(model, 2)}


async def test_a_version_that_is_served_again_within_the_grace_is_not_dropped(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    live: Live,
    heads: Heads,
    clock: ManualClock,
) -> None:
    model = (await publish(ledger)).model
    await publish(ledger)
    await told(ledger, coordinator, model)
    async with running(heads.run, live.run):
        await until(serves(live, model, 2), "version 2 is served")
        await ledger.versions.rollback(model, 1, "bob")
        await told(ledger, coordinator, model)
        await until(serves(live, model, 1), "version 1 is served")
        await clock.advance(GRACE_S / 2)
        await ledger.versions.rollback(model, 2, "bob")
        await told(ledger, coordinator, model)
        await until(serves(live, model, 2), "version 2 is served again")
        await clock.advance(GRACE_S * 0.9)
        assert live.loaded == {(model, 1), (model, 2)}
        await clock.advance(GRACE_S)
        assert live.loaded == {(model, 2)}
        assert live.serving[model].generation == 4


async def test_an_older_generation_never_replaces_a_newer_one(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads
) -> None:
    model = (await publish(ledger)).model
    old = await ledger.versions.head(model)
    await publish(ledger)
    await told(ledger, coordinator, model)
    assert old is not None
    assert not await announce(coordinator, model, old)
    async with running(heads.run):
        await until(serves(live, model, 2), "version 2 is served")
        # Also where somebody emptied the coordinator in between and the old one is put.
        await coordinator.delete("models/m/version")
        assert await announce(coordinator, model, old)
        other = (await publish(ledger, "other")).model
        await told(ledger, coordinator, other)
        await until(serves(live, other, 1), "a later announcement has arrived")
        assert live.serving[model].version == 2


async def test_a_head_published_faster_than_it_loads_is_skipped_and_the_newest_served(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads, store: Troubled
) -> None:
    model = (await publish(ledger)).model
    store.gate.clear()
    await told(ledger, coordinator, model)
    async with running(heads.run):
        await until(lambda: store.reads == 1, "version 1 is being loaded")
        for _ in range(3):
            await publish(ledger)
            await told(ledger, coordinator, model)
        store.gate.set()
        await until(serves(live, model, 4), "version 4 is served")
    # The load under way was used, not thrown away; 2 and 3 were never asked for.
    assert store.reads == 2


async def test_a_corrupt_head_leaves_the_version_before_in_service_degraded(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    live: Live,
    heads: Heads,
    clock: ManualClock,
    store: Troubled,
) -> None:
    model = (await publish(ledger)).model
    await told(ledger, coordinator, model)
    async with running(heads.run):
        await until(serves(live, model, 1), "version 1 is served")
        await publish(ledger)
        bad = await blob_of(ledger, model, 2)
        store.broken[bad] = CorruptState("the digest differs")
        await told(ledger, coordinator, model)
        await until(lambda: bool(live.serving[model].degraded), "it is degraded")
        assert live.serving[model].version == 1
        assert live.serving[model].generation == 1
        assert "version 2" in live.serving[model].degraded
        assert "digest" in live.serving[model].degraded

        del store.broken[bad]
        await until_later(clock, 10, serves(live, model, 2), "version 2 is served")
        assert live.serving[model].degraded == ""


async def test_a_worker_that_starts_with_a_corrupt_head_serves_the_previous_version(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads, store: Troubled
) -> None:
    model = (await publish(ledger)).model
    await publish(ledger)
    store.broken[await blob_of(ledger, model, 2)] = b"not a model at all"
    await told(ledger, coordinator, model)
    async with running(heads.run):
        await until(serves(live, model, 1), "version 1 stands in")
        assert live.serving[model].generation == 1  # below the head's, which is 2
        assert "version 2 cannot be loaded" in live.serving[model].degraded


async def test_a_new_head_ends_the_wait_for_one_that_cannot_be_loaded(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads, store: Troubled
) -> None:
    """The clock stands still, so that nothing but the news can end the wait."""
    model = (await publish(ledger)).model
    await publish(ledger)
    store.broken[await blob_of(ledger, model, 2)] = CorruptState("bad")
    await told(ledger, coordinator, model)
    async with running(heads.run):
        await until(serves(live, model, 1), "version 1 stands in")
        await publish(ledger)
        await told(ledger, coordinator, model)
        await until(serves(live, model, 3), "version 3 is served")
        assert live.serving[model].degraded == ""


async def test_a_state_that_its_family_cannot_restore_does_not_end_the_worker(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads, store: Troubled
) -> None:
    model = (await publish(ledger)).model
    blob = (await ledger.versions.get(model, 1)).blob.blob()
    state = decode(await ledger.store.get_blob(blob))
    store.broken[blob.id] = encode(State(state.family, {}, {}))
    with pytest.raises(CorruptState):
        await live.get(model, 1)
    await told(ledger, coordinator, model)
    other = (await publish(ledger, "other")).model
    await told(ledger, coordinator, other)
    async with running(heads.run):
        await until(serves(live, other, 1), "the other model is served")
        assert model not in live.serving


async def test_with_the_store_away_what_is_loaded_goes_on(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    live: Live,
    heads: Heads,
    store: Troubled,
    clock: ManualClock,
) -> None:
    model = (await publish(ledger)).model
    await told(ledger, coordinator, model)
    async with running(heads.run):
        await until(serves(live, model, 1), "version 1 is served")
        await publish(ledger)
        store.away = True
        with pytest.raises(StoreUnavailable):
            await live.get(model, 2)
        assert (await live.get(model, 1)).manifest.version == 1
        # A key that vanishes proves nothing while the store cannot be asked.
        refused = store.refused
        await coordinator.delete("models/m/version")
        await until(lambda: store.refused > refused, "the store was asked in vain")
        assert live.serving[model].version == 1
        store.away = False
        await told(ledger, coordinator, model)
        await until_later(clock, 5, serves(live, model, 2), "version 2 is served")


async def test_a_deleted_model_is_unloaded(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads
) -> None:
    model = (await publish(ledger)).model
    await told(ledger, coordinator, model)
    async with running(heads.run):
        await until(serves(live, model, 1), "version 1 is served")
        await ledger.versions.delete("m", "bob")
        await withdraw(coordinator, model, "m")
        await until(lambda: model not in live.serving, "it is unloaded")
        assert live.loaded == frozenset()


async def test_a_model_whose_name_means_another_now_is_unloaded_without_a_withdrawal(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads
) -> None:
    old = (await publish(ledger)).model
    await told(ledger, coordinator, old)
    async with running(heads.run):
        await until(serves(live, old, 1), "the old model is served")
        await ledger.versions.delete("m", "bob")
        new = (await publish(ledger)).model
        await told(ledger, coordinator, new)
        await until(serves(live, new, 1), "the new model is served")
        await until(lambda: old not in live.serving, "the old model is unloaded")


async def test_a_late_announcement_does_not_bring_a_deleted_model_back(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads, store: Troubled
) -> None:
    model = (await publish(ledger)).model
    late = await ledger.versions.head(model)
    assert late is not None
    await ledger.versions.delete("m", "bob")
    assert await announce(coordinator, model, late)
    other = (await publish(ledger, "other")).model
    await told(ledger, coordinator, other)
    async with running(heads.run):
        await until(serves(live, other, 1), "the other model is served")
        assert model not in live.serving
    assert store.reads == 1


async def test_an_announcement_that_comes_after_the_deletion_was_seen_brings_nothing_back(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads, store: Troubled
) -> None:
    model = (await publish(ledger)).model
    late = await ledger.versions.head(model)
    assert late is not None
    await told(ledger, coordinator, model)
    store.gate.clear()
    async with running(heads.run):
        await until(lambda: store.reads == 1, "version 1 is being loaded")
        await ledger.versions.delete("m", "bob")
        await withdraw(coordinator, model, "m")
        await until(lambda: model not in heads._heads, "the deletion was seen")
        assert await announce(coordinator, model, late)
        other = (await publish(ledger, "other")).model
        await told(ledger, coordinator, other)
        await until(lambda: other in heads._heads, "all announcements have arrived")
        store.gate.set()
        await until(serves(live, other, 1), "the other model is served")
        await until(lambda: model not in heads._news, "the deleted one is given up")
        assert model not in live.serving


async def test_a_deletion_that_could_not_be_asked_for_is_asked_for_again_before_anything_is_loaded(
    ledger: Ledger,
    coordinator: EmbeddedCoordinator,
    live: Live,
    heads: Heads,
    store: Troubled,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = (await publish(ledger)).model
    await told(ledger, coordinator, model)
    await ledger.versions.delete("m", "bob")
    ask, asked = ledger.versions.head, 0

    async def away_at_first(model: ModelUuid) -> Head | None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreUnavailable("away")
        return await ask(model)

    monkeypatch.setattr(ledger.versions, "head", away_at_first)
    async with running(heads.run):
        await until(lambda: asked == 1, "its announcement has arrived")
        await until_later(
            clock, 0.1, lambda: asked > 1 and model not in heads._news, "it is given up"
        )
        assert model not in live.serving
    assert store.reads == 0


async def test_a_number_that_names_another_version_since_a_restore_is_loaded_anew(
    ledger: Ledger, coordinator: EmbeddedCoordinator, live: Live, heads: Heads, store: Troubled
) -> None:
    model = (await publish(ledger, level=100.0)).model
    await publish(ledger, level=100.0)
    await told(ledger, coordinator, model)
    async with running(heads.run):
        await until(serves(live, model, 2), "version 2 is served")
        await live.get(model, 1)
        # What a backup looks like to us: other bytes, fewer moves of the head.
        replaced = (await ledger.versions.get(model, 2)).blob.blob()
        other = await publish(ledger, "other", level=500.0)
        bytes_of_another = (await ledger.versions.get(other.model, 1)).blob.blob()
        store.broken[replaced.id] = await store.get_blob(bytes_of_another)
        await ledger.versions.outlive(model, generation=7, moved_at="", last_version=9)
        await told(ledger, coordinator, model)
        await until(lambda: live.serving[model].generation == 8, "the restored head is served")
        assert (await live.get(model, 2)).model.forecast(1, ()).mean[0] > 400
        # What nobody serves is read again when it is asked for by someone who knows.
        reads = store.reads
        await live.get(model, 1, 1)
        await live.get(model, 1, 1)
        assert store.reads == reads + 1


async def test_many_who_ask_for_one_version_at_once_cost_one_read(
    ledger: Ledger, live: Live, store: Troubled
) -> None:
    model = (await publish(ledger)).model
    found = await asyncio.gather(*(live.get(model, 1) for _ in range(20)))
    assert len({id(loaded) for loaded in found}) == 1
    assert store.reads == 1


async def test_a_cancelled_reader_leaves_the_others_their_version(
    ledger: Ledger, live: Live, store: Troubled
) -> None:
    model = (await publish(ledger)).model
    store.gate.clear()
    first, second = (asyncio.create_task(live.get(model, 1)) for _ in range(2))
    await until(lambda: store.reads == 1, "the first one reads")
    first.cancel()
    store.gate.set()
    assert (await second).manifest.version == 1
    with contextlib.suppress(asyncio.CancelledError):
        await first


async def test_versions_asked_for_by_number_are_bounded_and_the_least_used_go_first(
    ledger: Ledger, live: Live
) -> None:
    for _ in range(3):
        model = (await publish(ledger)).model
    await live.get(model, 1)
    await live.get(model, 2)
    await live.get(model, 1)
    await live.get(model, 3)
    assert live.loaded == {(model, 1), (model, 3)}


async def test_a_version_that_is_not_there_or_retired_is_not_found(
    ledger: Ledger, live: Live
) -> None:
    for _ in range(4):
        model = (await publish(ledger)).model
    await ledger.versions.retire(model, 2)
    with pytest.raises(NotFound, match="retired"):
        await live.get(model, 1)
    with pytest.raises(NotFound, match="version 9"):
        await live.get(model, 9)
