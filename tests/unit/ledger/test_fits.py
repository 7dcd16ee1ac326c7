from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.errors import ClaimLost, Conflict, IdempotencyMismatch, NotFound, OutcomeUnknown
from tally.ids import BlobId, FitId
from tally.ledger import Ledger
from tally.ledger.records import Fit, FitState, VersionState, open_partition
from tally.store.base import Blob, Check, Token, Write
from tally.store.sqlite import SqliteStore
from tests.unit.ledger.acts import SERIES, TRIES, accept, claim, publish, request, store


async def open_fits(ledger: Ledger) -> list[FitId]:
    return [fit async for fit, _ in ledger.fits.open.walk()]


async def test_an_accepted_fit_is_written_down_with_its_series(ledger: Ledger) -> None:
    fit = await accept(ledger)
    assert fit.state is FitState.QUEUED
    assert await ledger.fits.payload(fit) == SERIES
    assert await open_fits(ledger) == [fit.id]


async def test_sequence_numbers_count_up_also_under_concurrency(ledger: Ledger) -> None:
    fits = await asyncio.gather(*(accept(ledger) for _ in range(12)))
    assert sorted(fit.sequence for fit in fits) == list(range(1, 13))
    assert len({fit.model for fit in fits}) == 1


async def test_the_same_idempotency_key_is_the_same_fit(ledger: Ledger) -> None:
    async def once() -> FitId:
        fit = await ledger.fits.accept("m", request(), SERIES, who="ann", idempotency="k")
        return fit.id

    first = await once()
    assert set(await asyncio.gather(*(once() for _ in range(8)))) == {first}
    assert len(await ledger.fits.newest((await ledger.fits.get(first)).model)) == 1
    assert await open_fits(ledger) == [first]


async def test_twins_that_arrive_at_once_leave_one_fit_and_one_series(
    ledger: Ledger, store: SqliteStore
) -> None:
    fits = await asyncio.gather(
        *(ledger.fits.accept("m", request(), SERIES, who="a", idempotency="k") for _ in range(8))
    )
    assert len({fit.id for fit in fits}) == 1
    assert await open_fits(ledger) == [fits[0].id]
    assert [blob async for blob in store.blobs()] == [fits[0].payload.id]


async def test_an_idempotency_key_with_another_body_is_refused(ledger: Ledger) -> None:
    await ledger.fits.accept("m", request(), SERIES, who="ann", idempotency="k")
    with pytest.raises(IdempotencyMismatch, match="'k'"):
        await ledger.fits.accept("m", request(period=7), SERIES, who="ann", idempotency="k")


async def test_a_published_fit_moves_the_head(ledger: Ledger) -> None:
    first, second = await publish(ledger), await publish(ledger)
    head = await ledger.versions.head(first.model)
    assert head is not None
    assert (first.version, second.version) == (1, 2)
    assert (head.version, head.previous, head.generation) == (2, 1, 2)
    assert (await ledger.versions.get(first.model, 1)).state is VersionState.PUBLISHED


async def test_one_of_two_workers_gets_the_claim(ledger: Ledger) -> None:
    fit = await accept(ledger)
    claims = await asyncio.gather(
        *(ledger.fits.claim(fit.id, f"w{i}", max_tries=TRIES) for i in range(6))
    )
    assert sum(claimed is not None for claimed in claims) == 1


async def test_a_running_fit_is_not_taken_without_proof_that_its_worker_is_dead(
    ledger: Ledger,
) -> None:
    fit = await accept(ledger)
    held = await claim(ledger, fit)
    seen = await ledger.fits.beat(fit.id)
    await held.renew(0.5, "half")
    assert await ledger.fits.claim(fit.id, "w2", max_tries=TRIES) is None
    # The proof is old: the heartbeat has moved since it was taken.
    assert await ledger.fits.claim(fit.id, "w2", max_tries=TRIES, dead=seen) is None


async def test_a_worker_that_was_taken_over_changes_nothing(
    ledger: Ledger, store: SqliteStore
) -> None:
    fit = await accept(ledger)
    paused = await claim(ledger, fit, "paused")
    seen = await ledger.fits.beat(fit.id)
    heir = await ledger.fits.claim(fit.id, "heir", max_tries=TRIES, dead=seen)
    assert heir is not None

    with pytest.raises(ClaimLost):
        await paused.renew(0.9, "late")
    with pytest.raises(ClaimLost):
        await store_model(ledger, paused)
    with pytest.raises(ClaimLost):
        await ledger.fits.fail(paused, "late", retryable=False, max_tries=TRIES)

    await store_model(ledger, heir)
    ended = await ledger.fits.publish(fit.id)
    assert (ended.state, ended.version, ended.attempt) == (FitState.PUBLISHED, 1, 2)
    with pytest.raises(ClaimLost):
        await store_model(ledger, paused)
    assert len(await ledger.versions.history(fit.model)) == 1


store_model = store


async def test_a_fit_accepted_earlier_and_ended_later_is_superseded(ledger: Ledger) -> None:
    slow = await accept(ledger)
    held = await claim(ledger, slow)
    quick = await publish(ledger)
    await store_model(ledger, held)
    ended = await ledger.fits.publish(slow.id)
    assert ended.state is FitState.SUPERSEDED
    assert f"version {quick.version}" in ended.reason
    head = await ledger.versions.head(slow.model)
    assert head is not None
    assert head.version == quick.version
    assert (await ledger.versions.get(slow.model, ended.version)).state is VersionState.UNUSED


async def test_publishing_twice_is_publishing_once(ledger: Ledger) -> None:
    fit = await publish(ledger)
    again = await asyncio.gather(*(ledger.fits.publish(fit.id) for _ in range(4)))
    assert {ended.version for ended in again} == {1}
    head = await ledger.versions.head(fit.model)
    assert head is not None
    assert head.generation == 1


async def test_two_publishers_at_once_use_no_number_twice(ledger: Ledger) -> None:
    fits = await asyncio.gather(*(publish(ledger) for _ in range(10)))
    numbers = [fit.version for fit in fits]
    # One that was stored before the version being served leaves its number for a higher one.
    assert len(set(numbers)) == 10
    newest = max(fits, key=lambda fit: fit.sequence)
    head = await ledger.versions.head(fits[0].model)
    assert head is not None
    assert head.version == newest.version


async def test_a_fit_worse_than_the_served_version_is_rejected(ledger: Ledger) -> None:
    await publish(ledger, mase=0.5)
    worse = await publish(ledger, mase=0.6, min_skill=0.0)
    assert worse.state is FitState.REJECTED
    assert "version 1" in worse.reason
    better = await publish(ledger, mase=0.4, min_skill=0.0)
    assert better.state is FitState.PUBLISHED


async def test_the_first_fit_is_judged_against_seasonal_naive(ledger: Ledger) -> None:
    fit = await publish(ledger, mase=1.5, min_skill=0.0)
    assert fit.state is FitState.REJECTED
    assert "seasonal naive" in fit.reason


async def test_failures_are_retried_then_the_fit_is_a_dead_letter(ledger: Ledger) -> None:
    fit = await accept(ledger)
    for attempt in range(TRIES):
        held = await claim(ledger, fit)
        ended = await ledger.fits.fail(held, "it broke", retryable=True, max_tries=TRIES)
        assert ended.state is (FitState.FAILED if attempt == TRIES - 1 else FitState.QUEUED)
    dead = await ledger.fits.newest(fit.model, state=FitState.FAILED)
    assert [letter.id for letter in dead] == [fit.id]
    assert (await publish(ledger)).state is FitState.PUBLISHED


async def test_a_fit_that_kills_its_workers_ends_failed(ledger: Ledger) -> None:
    fit = await accept(ledger)
    await claim(ledger, fit)
    for _ in range(TRIES):
        seen = await ledger.fits.beat(fit.id)
        await ledger.fits.claim(fit.id, "next", max_tries=TRIES, dead=seen)
    ended = await ledger.fits.get(fit.id)
    assert ended.state is FitState.FAILED
    assert "3 times" in ended.reason


async def test_a_failed_fit_can_be_retried_as_if_asked_for_now(ledger: Ledger) -> None:
    fit = await accept(ledger)
    held = await claim(ledger, fit)
    failed = await ledger.fits.fail(held, "bad", retryable=False, max_tries=TRIES)
    await ledger.fits.close(failed)
    await publish(ledger)
    queued = await ledger.fits.retry(fit.id)
    assert queued.state is FitState.QUEUED
    assert fit.id in await open_fits(ledger)
    await store_model(ledger, await claim(ledger, queued))
    assert (await ledger.fits.publish(fit.id)).state is FitState.PUBLISHED


async def test_only_a_failed_fit_can_be_retried(ledger: Ledger) -> None:
    fit = await publish(ledger)
    with pytest.raises(Conflict, match="PUBLISHED"):
        await ledger.fits.retry(fit.id)


async def test_a_model_that_is_deleted_under_every_try_ends_the_acceptance(
    ledger: Ledger, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_blob = store.put_blob

    async def and_then_it_is_deleted(blob: BlobId, data: bytes) -> Blob:
        await ledger.versions.delete("m", "somebody quick")
        return await put_blob(blob, data)

    monkeypatch.setattr(store, "put_blob", and_then_it_is_deleted)
    with pytest.raises(Conflict, match="'m' is being deleted again and again"):
        await accept(ledger)
    assert [blob async for blob in store.blobs()] == []
    assert await open_fits(ledger) == []


async def failed(ledger: Ledger) -> Fit:
    held = await claim(ledger, await accept(ledger))
    return await ledger.fits.fail(held, "bad", retryable=False, max_tries=TRIES)


async def test_a_retry_that_is_repeated_is_the_same_retry(ledger: Ledger) -> None:
    fit = await failed(ledger)
    queued = await ledger.fits.retry(fit.id)
    assert await ledger.fits.retry(fit.id) == queued
    await claim(ledger, fit)
    running = await ledger.fits.retry(fit.id)
    assert (running.state, running.sequence) == (FitState.RUNNING, queued.sequence)


async def test_a_fit_under_way_that_nobody_retried_cannot_be_retried(ledger: Ledger) -> None:
    fit = await accept(ledger)
    with pytest.raises(Conflict, match="QUEUED"):
        await ledger.fits.retry(fit.id)


async def test_a_retry_that_failed_again_can_be_retried(ledger: Ledger) -> None:
    fit = await failed(ledger)
    first = await ledger.fits.retry(fit.id)
    held = await claim(ledger, fit)
    await ledger.fits.fail(held, "bad again", retryable=False, max_tries=TRIES)
    second = await ledger.fits.retry(fit.id)
    assert (second.state, second.retries) == (FitState.QUEUED, 2)
    assert second.sequence > first.sequence


async def test_a_cancelled_fit_takes_its_attempt_with_it(ledger: Ledger) -> None:
    fit = await accept(ledger)
    held = await claim(ledger, fit)
    assert (await ledger.fits.cancel(fit.id, "ann")).state is FitState.CANCELLED
    with pytest.raises(ClaimLost):
        await held.renew(0.5, "half")
    with pytest.raises(ClaimLost):
        await store_model(ledger, held)
    with pytest.raises(Conflict):
        await ledger.fits.cancel((await publish(ledger)).id, "ann")


async def test_closing_deletes_what_nobody_needs(ledger: Ledger, store: SqliteStore) -> None:
    fit = await accept(ledger)
    lost = await claim(ledger, fit)
    await store.put_blob(lost.blob, b"of a lost attempt")
    seen = await ledger.fits.beat(fit.id)
    heir = await ledger.fits.claim(fit.id, "heir", max_tries=TRIES, dead=seen)
    assert heir is not None
    await store_model(ledger, heir)
    ended = await ledger.fits.publish(fit.id)
    for _ in range(2):
        await ledger.fits.close(ended)
    assert [blob async for blob in store.blobs()] == [heir.blob]
    assert await open_fits(ledger) == []


async def test_the_series_of_a_failed_fit_stays_for_a_retry(ledger: Ledger) -> None:
    fit = await accept(ledger)
    held = await claim(ledger, fit)
    failed = await ledger.fits.fail(held, "bad", retryable=False, max_tries=TRIES)
    await ledger.fits.close(failed)
    assert await ledger.fits.payload(failed) == SERIES


async def test_an_abandoned_entry_never_becomes_a_fit(ledger: Ledger) -> None:
    fit = await accept(ledger)
    ghost = FitId(f"{fit.model}.{'0' * 16}")
    assert (await ledger.fits.abandon(ghost)).state is FitState.ABANDONED
    with pytest.raises(NotFound):
        await ledger.fits.get(ghost)
    assert (await ledger.fits.abandon(fit.id)).state is FitState.QUEUED


class Forgetful(SqliteStore):
    """A store that loses the answers of some commits, after or before they happened."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.happened = True
        self.losing = 0

    async def commit(
        self,
        partition: str,
        writes: Sequence[Write],
        checks: Sequence[Check] = (),
    ) -> Mapping[str, Token] | None:
        if self.losing > 0:
            self.losing -= 1
            if self.happened:
                await super().commit(partition, writes, checks)
            raise OutcomeUnknown("the answer was lost")
        return await super().commit(partition, writes, checks)


@pytest.mark.parametrize("happened", [True, False])
async def test_a_lost_answer_is_decided_by_reading_and_counts_once(
    tmp_path: Path, clock: ManualClock, happened: bool
) -> None:
    store = Forgetful(tmp_path / "forgetful.db")
    store.happened = happened
    ledger = Ledger(store, clock)
    for _ in range(3):
        store.losing = 3
        fit = await accept(ledger)
        store.losing = 1
        held = await claim(ledger, fit)
        store.losing = 1
        await held.renew(0.5, "half")
        store.losing = 1
        await store_model(ledger, held)
        store.losing = 1
        assert (await ledger.fits.publish(fit.id)).state is FitState.PUBLISHED
    head = await ledger.versions.head(fit.model)
    assert head is not None
    assert (head.version, head.generation, head.last_sequence) == (3, 3, 3)
    await store.close()


def test_open_fits_spread_over_all_buckets() -> None:
    used = {open_partition(FitId(f"{i:032x}.{i:016x}")) for i in range(400)}
    assert len(used) == 16
