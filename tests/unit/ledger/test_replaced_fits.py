"""Fits that were published, and whose place another took before anybody served them."""

from __future__ import annotations

from tally.ledger import Ledger
from tally.ledger.records import FitState, VersionState
from tests.unit.ledger.acts import publish


async def test_a_fit_replaced_before_it_was_served_ends_superseded_and_says_by_which(
    ledger: Ledger,
) -> None:
    first = await publish(ledger)
    await publish(ledger)
    for _ in range(2):
        ended = await ledger.fits.replaced(first.id)
        assert ended.state is FitState.SUPERSEDED
        assert ended.version == 1
        assert "version 2 took its place" in ended.reason


async def test_its_version_stays_and_can_be_rolled_back_to(ledger: Ledger) -> None:
    first = await publish(ledger)
    await publish(ledger)
    await ledger.fits.close(await ledger.fits.replaced(first.id))
    kept = await ledger.versions.get(first.model, 1)
    assert kept.state is VersionState.PUBLISHED
    assert await ledger.store.get_blob(kept.blob.blob()) == b"model"
    await ledger.versions.rollback(first.model, 1, "ann")
    assert not await ledger.fits.served(first.id)
    assert (await ledger.fits.get(first.id)).state is FitState.SUPERSEDED


async def test_the_fit_of_the_head_is_left_to_be_served(ledger: Ledger) -> None:
    fit = await publish(ledger)
    assert (await ledger.fits.replaced(fit.id)).state is FitState.PUBLISHED
    assert await ledger.fits.served(fit.id)


async def test_a_fit_that_was_served_stays_so_when_another_takes_its_place(
    ledger: Ledger,
) -> None:
    first = await publish(ledger)
    await ledger.fits.served(first.id)
    await publish(ledger)
    assert (await ledger.fits.replaced(first.id)).state is FitState.SERVED


async def test_a_published_fit_of_a_deleted_model_is_cancelled(ledger: Ledger) -> None:
    fit = await publish(ledger)
    await ledger.versions.delete("m", "ann")
    ended = await ledger.fits.replaced(fit.id)
    assert (ended.state, ended.reason) == (FitState.CANCELLED, "the model was deleted")
