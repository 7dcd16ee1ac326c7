from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from model_api.janitor import Janitor, Keep
from tally.announce import announce_head, read_announcement
from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import NotFound, TallyError
from tally.ids import BlobId, ModelUuid
from tally.ledger import Ledger
from tally.ledger.records import FitState
from tally.store.base import Write
from tests.unit.model_api.acts import Troubled, accept, blob_of, claim, publish, running, until

GRACE_S = 60.0


@pytest.fixture
def janitor(ledger: Ledger, coordinator: EmbeddedCoordinator, clock: ManualClock) -> Janitor:
    return janitor_of(ledger, coordinator, clock)


def janitor_of(ledger: Ledger, coordinator: EmbeddedCoordinator, clock: ManualClock) -> Janitor:
    keep = Keep(versions=2, fits=2, grace_s=GRACE_S)
    return Janitor(ledger, coordinator, clock, keep, every_s=1)


async def published(ledger: Ledger, count: int, name: str = "m") -> ModelUuid:
    for _ in range(count):
        fit = await publish(ledger, name)
    return fit.model


async def blobs(ledger: Ledger) -> set[BlobId]:
    return {blob async for blob in ledger.store.blobs()}


async def test_bytes_of_an_old_version_go_a_grace_after_it_was_retired(
    ledger: Ledger, janitor: Janitor, clock: ManualClock
) -> None:
    model = await published(ledger, 4)
    old = await blob_of(ledger, model, 1)
    await janitor.tidy()
    await clock.advance(GRACE_S * 0.9)
    await janitor.tidy()
    assert old in await blobs(ledger)
    await clock.advance(GRACE_S * 0.2)
    await janitor.tidy()
    assert old not in await blobs(ledger)
    assert [version.version for version in await ledger.versions.history(model)] == [4, 3]


async def test_a_janitor_that_has_only_just_started_gives_every_version_its_grace(
    ledger: Ledger, coordinator: EmbeddedCoordinator, janitor: Janitor, clock: ManualClock
) -> None:
    model = await published(ledger, 4)
    old = await blob_of(ledger, model, 1)
    await janitor.tidy()
    await clock.advance(GRACE_S * 2)
    await janitor_of(ledger, coordinator, clock).tidy()
    assert old in await blobs(ledger)


async def test_a_version_that_was_rolled_back_to_stays_however_old_it_is(
    ledger: Ledger, janitor: Janitor, clock: ManualClock
) -> None:
    model = await published(ledger, 2)
    await ledger.versions.rollback(model, 1, "bob")
    for _ in range(3):
        fit = await accept(ledger)
        await ledger.fits.cancel(fit.id, "ann")
    for _ in range(2):
        await janitor.tidy()
        await clock.advance(GRACE_S)
    assert await blob_of(ledger, model, 1) in await blobs(ledger)
    assert len(await ledger.fits.newest(model)) <= 2 + 2  # kept, and those of the versions


async def test_of_a_deleted_model_nothing_stays_but_what_says_so(
    ledger: Ledger, coordinator: EmbeddedCoordinator, janitor: Janitor, clock: ManualClock
) -> None:
    model = (await publish(ledger)).model
    await claim(ledger, await accept(ledger))
    await announce_head(ledger.versions, coordinator, model)
    await ledger.versions.delete("m", "bob")
    await janitor.tidy()
    # The fit under way is not over: its worker has still to find out.
    assert await ledger.versions.deleted() == [(model, "m")]
    for fit in await ledger.fits.newest(model):
        if not fit.state.ended:
            seen = await ledger.fits.beat(fit.id)
            assert await ledger.fits.claim(fit.id, "heir", max_tries=3, dead=seen) is None
            await ledger.fits.close(await ledger.fits.get(fit.id))
    await clock.advance(GRACE_S)
    await janitor.tidy()
    assert await blobs(ledger) == set()
    assert await ledger.versions.history(model) == []
    assert await ledger.versions.deleted() == []
    assert read_announcement(await coordinator.get("models/m/version")) is None
    with pytest.raises(NotFound):
        await ledger.names.find("m")


async def test_what_a_new_model_of_the_same_name_announced_is_not_withdrawn(
    ledger: Ledger, coordinator: EmbeddedCoordinator, janitor: Janitor, clock: ManualClock
) -> None:
    await publish(ledger)
    await ledger.versions.delete("m", "bob")
    heir = (await publish(ledger)).model
    await announce_head(ledger.versions, coordinator, heir)
    for _ in range(2):
        await janitor.tidy()
        await clock.advance(GRACE_S)
    announced = read_announcement(await coordinator.get("models/m/version"))
    assert announced is not None
    assert announced.model == heir
    assert (await ledger.versions.get(heir, 1)).version == 1


async def test_a_model_whose_rows_cannot_be_read_keeps_no_other_from_being_tidied(
    ledger: Ledger, store: Troubled, janitor: Janitor, clock: ManualClock
) -> None:
    bad = await published(ledger, 4, "a-bad-one")
    good = await published(ledger, 4, "good")
    partition, key = f"model/{bad}", "version/000000000001"
    row = await store.get(partition, key)
    assert row is not None
    assert await store.commit(partition, [Write(key, row.token, b"{nonsense")])
    await janitor.tidy()
    await clock.advance(GRACE_S)
    await janitor.tidy()
    assert [version.version for version in await ledger.versions.history(good)] == [4, 3]


async def test_a_store_that_is_away_puts_tidying_off(
    ledger: Ledger, store: Troubled, janitor: Janitor, clock: ManualClock
) -> None:
    model = await published(ledger, 4)
    old = await blob_of(ledger, model, 1)
    store.away = True
    with pytest.raises(TallyError, match="away"):
        await janitor.tidy()
    with capture_logs() as logs:
        async with running(janitor.run), asyncio.timeout(20):
            await until(lambda: bool(logs), "it has given up for now")
            store.away = False
            while old in await blobs(ledger):
                await clock.advance(GRACE_S)
                await asyncio.sleep(0.01)
    assert {entry["event"] for entry in logs} == {"tidying put off"}
    assert (await ledger.versions.get(model, 4)).version == 4


async def test_old_fits_are_forgotten_beyond_what_is_kept(ledger: Ledger, janitor: Janitor) -> None:
    fits = [await accept(ledger) for _ in range(5)]
    for fit in fits:
        await ledger.fits.cancel(fit.id, "ann")
        await ledger.fits.close(await ledger.fits.get(fit.id))
    await janitor.tidy()
    kept = await ledger.fits.newest(fits[0].model)
    assert [fit.id for fit in kept] == [fits[4].id, fits[3].id]
    assert {fit.state for fit in kept} == {FitState.CANCELLED}
