from __future__ import annotations

import asyncio

import pytest

from tally.errors import Conflict, InvalidInput, NotFound
from tally.ledger import Ledger
from tally.ledger.names import check_name
from tally.ledger.records import FitState, VersionState
from tests.unit.ledger.acts import accept, claim, publish, published, store


async def test_a_rollback_is_a_newer_generation_and_is_audited(ledger: Ledger) -> None:
    model = await published(ledger, 3)
    head = await ledger.versions.rollback(model, 1, "bob")
    assert (head.version, head.previous, head.generation) == (1, 3, 4)
    (audit,) = await ledger.versions.audits(model)
    assert (audit.action, audit.who, audit.from_version, audit.to_version) == (
        "rollback",
        "bob",
        3,
        1,
    )


async def test_a_fit_in_flight_at_a_rollback_does_not_undo_it(ledger: Ledger) -> None:
    model = await published(ledger, 2)
    flying = await accept(ledger)
    held = await claim(ledger, flying)
    await ledger.versions.rollback(model, 1, "bob")
    await store(ledger, held)
    ended = await ledger.fits.publish(flying.id)
    assert ended.state is FitState.SUPERSEDED
    assert "rolled back" in ended.reason
    newer = await publish(ledger)
    assert newer.state is FitState.PUBLISHED
    assert newer.version == 4


async def test_versions_never_go_back_after_a_rollback(ledger: Ledger) -> None:
    model = await published(ledger, 2)
    await ledger.versions.rollback(model, 1, "bob")
    assert (await publish(ledger)).version == 3


async def test_a_later_request_that_was_stored_earlier_does_not_lower_the_version(
    ledger: Ledger,
) -> None:
    first, second = [await accept(ledger) for _ in range(2)]
    assert (await store(ledger, await claim(ledger, second))).version == 1
    assert (await store(ledger, await claim(ledger, first))).version == 2
    assert (await ledger.fits.publish(first.id)).version == 2
    # Its worker was stopped in between; meanwhile the other one came to be served.
    ended = await ledger.fits.publish(second.id)
    assert (ended.state, ended.version) == (FitState.PUBLISHED, 3)
    assert await ledger.fits.publish(second.id) == ended
    head = await ledger.versions.head(second.model)
    assert head is not None
    assert (head.version, head.previous, head.last_version) == (3, 2, 3)
    history = await ledger.versions.history(second.model)
    assert [(v.version, v.fit) for v in history] == [(3, second.id), (2, first.id)]
    assert await ledger.store.get_blob(history[0].blob.blob()) == b"model"
    await ledger.fits.close(ended)
    assert history[0].blob.id in {blob async for blob in ledger.store.blobs()}


async def test_rolling_back_to_what_cannot_be_served_is_refused(ledger: Ledger) -> None:
    await publish(ledger, mase=0.5)
    rejected = await publish(ledger, mase=0.9, min_skill=0.0)
    model = rejected.model
    with pytest.raises(Conflict, match="served already"):
        await ledger.versions.rollback(model, 1, "bob")
    with pytest.raises(Conflict, match="UNUSED"):
        await ledger.versions.rollback(model, rejected.version, "bob")
    with pytest.raises(NotFound, match="version 9"):
        await ledger.versions.rollback(model, 9, "bob")


async def test_retention_spares_the_head_and_the_previous(ledger: Ledger) -> None:
    model = await published(ledger, 6)
    await ledger.versions.rollback(model, 1, "bob")
    retired = await ledger.versions.retire(model, 2)
    assert sorted(version.version for version in retired) == [2, 3, 4]
    kept = [v.version for v in await ledger.versions.history(model) if v not in retired]
    assert kept == [6, 5, 1]
    with pytest.raises(Conflict, match="RETIRED"):
        await ledger.versions.rollback(model, 3, "bob")


async def test_a_rollback_and_a_retirement_at_once_never_serve_a_retired_version(
    ledger: Ledger,
) -> None:
    for _ in range(10):
        model = await published(ledger, 3, "race")
        first = (await ledger.versions.history(model))[2].version
        await asyncio.gather(
            ledger.versions.rollback(model, first, "bob"),
            ledger.versions.retire(model, 1),
            return_exceptions=True,
        )
        head = await ledger.versions.head(model)
        assert head is not None
        assert (await ledger.versions.get(model, head.version)).state is VersionState.PUBLISHED
        await ledger.versions.delete("race", "bob")


async def test_removing_a_retired_version_deletes_its_bytes(ledger: Ledger) -> None:
    model = await published(ledger, 4)
    for version in await ledger.versions.retire(model, 2):
        await ledger.versions.remove(model, version)
        with pytest.raises(NotFound):
            await ledger.store.get_blob(version.blob.blob())
        with pytest.raises(NotFound):
            await ledger.versions.get(model, version.version)
    assert [v.version for v in await ledger.versions.history(model)] == [4, 3]


async def test_a_model_deleted_and_created_again_shares_nothing(ledger: Ledger) -> None:
    old = await publish(ledger)
    flying = await accept(ledger)
    held = await claim(ledger, flying)
    await ledger.versions.delete("m", "bob")
    new = await publish(ledger)
    assert new.model != old.model
    assert new.version == 1
    stored = await ledger.fits.claim(flying.id, "w2", max_tries=3)
    assert stored is None
    await ledger.store.put_blob(held.blob, b"late")
    with pytest.raises(Exception, match="no longer counts"):
        await store(ledger, held)
    head = await ledger.versions.head(new.model)
    assert head is not None
    assert head.version == 1


async def test_a_deleted_model_is_swept_away_whole(ledger: Ledger) -> None:
    fit = await publish(ledger)
    await ledger.fits.close(fit)
    await ledger.versions.delete("m", "bob")
    ((model, name),) = await ledger.versions.deleted()
    assert (model, name) == (fit.model, "m")
    for version in await ledger.versions.retire(model, 0):
        await ledger.versions.remove(model, version)
    await ledger.versions.prune_fits(model, 0)
    assert await ledger.versions.history(model) == []
    assert await ledger.fits.newest(model) == []
    await ledger.versions.forget_model(model)
    assert await ledger.versions.deleted() == []
    assert [blob async for blob in ledger.store.blobs()] == []


async def test_deleting_what_is_not_there_is_refused(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="'m'"):
        await ledger.versions.delete("m", "bob")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "ü", "x" * 129, "-x", "a\n"])
def test_names_that_would_break_a_path_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="name"):
        check_name(name)
