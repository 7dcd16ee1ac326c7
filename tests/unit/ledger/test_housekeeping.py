"""What goes, what stays, and what housekeeping must not take from under somebody's feet."""

from __future__ import annotations

import pytest

from tally.errors import ClaimLost, NotFound
from tally.ids import FitId
from tally.ledger import Ledger
from tally.ledger.records import FitState, VersionState
from tests.unit.ledger.acts import TRIES, accept, claim, publish, published, store


async def test_a_fit_given_back_is_queued_and_has_lost_no_try(ledger: Ledger) -> None:
    fit = await accept(ledger)
    for attempt in range(1, 2 * TRIES):
        held = await claim(ledger, await ledger.fits.get(fit.id))
        back = await ledger.fits.give_back(held)
        assert back is not None
        assert (back.state, back.attempt, back.tries) == (FitState.QUEUED, attempt, 0)
        with pytest.raises(ClaimLost):
            await store(ledger, held)
    await store(ledger, await claim(ledger, fit))
    assert (await ledger.fits.publish(fit.id)).version == 1


async def test_what_was_stored_taken_over_or_cancelled_is_not_given_back(ledger: Ledger) -> None:
    fit = await accept(ledger)
    held = await claim(ledger, fit)
    seen = await ledger.fits.beat(fit.id)
    heir = await ledger.fits.claim(fit.id, "heir", max_tries=TRIES, dead=seen)
    assert heir is not None
    assert await ledger.fits.give_back(held) is None
    await store(ledger, heir)
    assert await ledger.fits.give_back(heir) is None
    assert (await ledger.fits.get(fit.id)).state is FitState.STORED

    other = await accept(ledger)
    cancelled = await claim(ledger, other)
    await ledger.fits.cancel(other.id, "ann")
    assert await ledger.fits.give_back(cancelled) is None
    assert (await ledger.fits.get(other.id)).state is FitState.CANCELLED


async def test_a_claim_on_a_deleted_model_is_lost_at_the_next_heartbeat(ledger: Ledger) -> None:
    held = await claim(ledger, await accept(ledger))
    await held.renew(0.1, "fitting")
    await ledger.versions.delete("m", "bob")
    with pytest.raises(ClaimLost, match="deleted"):
        await held.renew(0.2, "fitting")


async def test_refused_fits_push_out_no_version_that_a_rollback_could_go_to(
    ledger: Ledger,
) -> None:
    model = await published(ledger, 3)
    for _ in range(5):
        refused = await publish(ledger, mase=9.0, min_skill=0.0)
        assert refused.state is FitState.REJECTED
    retired = await ledger.versions.retire(model, 3)
    assert {version.version for version in retired} == {4, 5}
    assert (await ledger.versions.rollback(model, 1, "bob")).version == 1
    left = [v for v in await ledger.versions.history(model) if v.state is VersionState.UNUSED]
    assert len(left) == 3


async def test_old_fits_go_with_all_of_their_bytes_and_those_of_versions_stay(
    ledger: Ledger,
) -> None:
    model = await published(ledger, 2)
    for _ in range(3):
        held = await claim(ledger, await accept(ledger))
        await ledger.store.put_blob(held.blob, b"half a model")
        await ledger.fits.fail(held, "bad", retryable=False, max_tries=TRIES)
    assert await ledger.versions.prune_fits(model, 1) == 2
    fits = await ledger.fits.newest(model)
    assert [fit.state for fit in fits] == [
        FitState.FAILED,
        FitState.PUBLISHED,
        FitState.PUBLISHED,
    ]
    kept = {fit.payload.id for fit in fits} | {blob for fit in fits for blob in fit.blobs}
    assert {blob async for blob in ledger.store.blobs()} == kept


async def test_a_dead_letter_that_is_retried_while_it_is_pruned_is_not_lost(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = await accept(ledger)
    held = await claim(ledger, fit)
    await ledger.fits.fail(held, "bad", retryable=False, max_tries=TRIES)
    history = ledger.versions.history

    async def slow(model: object) -> object:
        # After the fits were read, before any of them is deleted.
        await ledger.fits.retry(fit.id)
        return await history(fit.model)

    monkeypatch.setattr(ledger.versions, "history", slow)
    assert await ledger.versions.prune_fits(fit.model, 0) == 0
    assert (await ledger.fits.get(fit.id)).state is FitState.QUEUED
    assert await ledger.fits.payload(fit)


async def test_an_abandoned_id_stays_so_as_long_as_its_model(ledger: Ledger) -> None:
    fit = await publish(ledger)
    ghost = FitId(f"{fit.model}.{'0' * 16}")
    await ledger.fits.abandon(ghost)
    await ledger.versions.prune_fits(fit.model, 0)
    found = await ledger.fits.find(ghost)
    assert found is not None
    assert found.state is FitState.ABANDONED
    await ledger.versions.delete("m", "bob")
    await ledger.versions.prune_fits(fit.model, 0)
    assert await ledger.fits.find(ghost) is None
    with pytest.raises(NotFound):
        await ledger.fits.get(ghost)
