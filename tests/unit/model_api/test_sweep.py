"""Bytes that nobody names go; whatever somebody may still need stays."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model_api.sweep import Sweep
from model_api.wiring import _REFERENCES
from tally.clock import ManualClock
from tally.errors import ClaimLost, StoreUnavailable
from tally.ids import BlobId, new_blob_id, new_fit_id
from tally.ledger import Ledger
from tally.ledger.references import referenced
from tally.store.base import Store
from tests.unit.model_api.acts import TRIES, Troubled, accept, claim, publish
from tests.unit.model_api.acts import store as store_model

AGE_S = 100.0
ROOT = Path(__file__).parents[3]


@pytest.fixture
def sweep(store: Troubled, clock: ManualClock) -> Sweep:
    return Sweep(store, [referenced], clock, AGE_S)


async def blobs(store: Troubled) -> set[BlobId]:
    return {blob async for blob in store.blobs()}


async def test_bytes_that_nobody_names_go_after_the_age_and_not_before(
    store: Troubled, sweep: Sweep, clock: ManualClock
) -> None:
    orphan = new_blob_id()
    await store.put_blob(orphan, b"nobody's")
    for _ in range(3):
        assert await sweep.look() == 0
        await clock.advance(AGE_S * 0.3)
    assert await blobs(store) == {orphan}
    await clock.advance(AGE_S * 0.3)
    assert await sweep.look() == 1
    assert await blobs(store) == set()


async def test_bytes_that_find_an_owner_between_two_looks_stay_and_begin_anew(
    ledger: Ledger, store: Troubled, sweep: Sweep, clock: ManualClock
) -> None:
    model = (await publish(ledger)).model
    blob = new_blob_id()
    await store.put_blob(blob, b"early")
    await sweep.look()
    fit = new_fit_id(model)
    await ledger.fits.open.add(fit, blob)
    await clock.advance(AGE_S)
    await sweep.look()
    await ledger.fits.open.remove(fit)
    await sweep.look()
    assert blob in await blobs(store)
    await clock.advance(AGE_S)
    assert await sweep.look() == 1


async def test_at_no_stage_of_a_fit_is_anything_taken_for_nobodys(
    ledger: Ledger, store: Troubled, sweep: Sweep, clock: ManualClock
) -> None:
    async def nothing_goes() -> None:
        before = await blobs(store)
        for _ in range(2):
            assert await sweep.look() == 0
            await clock.advance(2 * AGE_S)
        assert await blobs(store) == before

    first = await accept(ledger)
    await nothing_goes()
    lost = await claim(ledger, first)
    await store.put_blob(lost.blob, b"half")
    await nothing_goes()
    await ledger.fits.fail(lost, "it broke", retryable=False, max_tries=TRIES)
    assert await sweep.look() == 0
    await clock.advance(AGE_S)
    assert await sweep.look() == 1  # the attempt, which is over; the series waits for a retry
    assert await ledger.fits.payload(first)
    await ledger.fits.retry(first.id)
    await nothing_goes()
    held = await claim(ledger, first)
    await store_model(ledger, held)
    await nothing_goes()
    done = await ledger.fits.publish(first.id)
    await ledger.fits.close(done)
    await nothing_goes()
    await ledger.versions.delete("m", "ann")
    await nothing_goes()  # the janitor removes it, after a grace of its own


async def test_what_a_worker_writes_that_slept_through_the_end_of_its_fit_goes(
    ledger: Ledger, store: Troubled, sweep: Sweep, clock: ManualClock
) -> None:
    fit = await accept(ledger)
    asleep = await claim(ledger, fit)
    seen = await ledger.fits.beat(fit.id)
    heir = await ledger.fits.claim(fit.id, "heir", max_tries=TRIES, dead=seen)
    assert heir is not None
    await store_model(ledger, heir)
    await ledger.fits.close(await ledger.fits.publish(fit.id))
    with pytest.raises(ClaimLost):
        await store_model(ledger, asleep)
    assert await blobs(store) == {asleep.blob, heir.blob}
    await sweep.look()
    await clock.advance(AGE_S)
    await sweep.look()
    assert await blobs(store) == {heir.blob}


async def test_a_look_that_did_not_see_everything_deletes_nothing(
    store: Troubled, clock: ManualClock
) -> None:
    async def broken(_: Store) -> AsyncIterator[BlobId]:
        raise StoreUnavailable("away")
        yield

    sweep = Sweep(store, [broken, referenced], clock, AGE_S)
    await store.put_blob(new_blob_id(), b"whose?")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await sweep.look()
        await clock.advance(2 * AGE_S)
    assert len(await blobs(store)) == 1


def test_whatever_writes_blobs_tells_the_sweep_which_ones_it_names() -> None:
    """Else its bytes would be deleted. The worker's fits are named by the ledger."""
    known = {each.__module__.rpartition(".")[0] for each in _REFERENCES}
    writers = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for package in ("tally", "model_api", "broker")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\.put_blob\(", path.read_text())
    }
    assert writers - known <= {"tally.store", "model_api.services"}
