"""Whoever was stopped for long and goes on later must change nothing."""

from __future__ import annotations

import pytest

from tally.errors import ClaimLost
from tally.ledger import Ledger
from tally.ledger.records import Fit, FitState
from tests.unit.ledger.acts import TRIES, accept, claim, store


async def _fail(ledger: Ledger, fit: Fit) -> Fit:
    held = await claim(ledger, fit)
    return await ledger.fits.fail(held, "no", retryable=False, max_tries=TRIES)


async def _open(ledger: Ledger) -> list[str]:
    return [fit async for fit, _ in ledger.fits.open.walk()]


async def test_storing_again_after_the_reconciler_has_published_makes_no_second_version(
    ledger: Ledger,
) -> None:
    held = await claim(ledger, await accept(ledger))
    stored = await store(ledger, held)  # and the answer is lost
    await ledger.fits.publish(stored.id)
    await ledger.fits.served(stored.id)

    again = await store(ledger, held)

    assert (again.state, again.version) == (FitState.SERVED, 1)
    assert [version.version for version in await ledger.versions.history(stored.model)] == [1]


async def test_a_fit_given_up_on_is_not_stored_by_its_last_worker(ledger: Ledger) -> None:
    fit = await accept(ledger)
    held = await claim(ledger, fit)
    dead = await ledger.fits.beat(fit.id)
    assert await ledger.fits.claim(fit.id, "other", max_tries=1, dead=dead) is None
    assert (await ledger.fits.get(fit.id)).state is FitState.FAILED

    with pytest.raises(ClaimLost):
        await store(ledger, held)

    assert (await ledger.fits.get(fit.id)).state is FitState.FAILED


async def test_closing_a_failure_that_was_retried_meanwhile_leaves_it_alone(
    ledger: Ledger,
) -> None:
    failed = await _fail(ledger, await accept(ledger))
    await ledger.fits.retry(failed.id)
    held = await claim(ledger, failed)

    await ledger.fits.close(failed)

    assert await _open(ledger) == [failed.id]
    await held.renew(0.5, "fitting")


async def test_an_entry_made_anew_is_not_removed_for_what_was_seen_before(
    ledger: Ledger,
) -> None:
    failed = await _fail(ledger, await accept(ledger))
    seen = await ledger.fits.open.entry(failed.id)
    await ledger.fits.retry(failed.id)

    await ledger.fits.open.remove(failed.id, seen)

    assert await _open(ledger) == [failed.id]
    await ledger.fits.open.remove(failed.id, await ledger.fits.open.entry(failed.id))
    assert await _open(ledger) == []
