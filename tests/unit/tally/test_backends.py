from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tally import backends
from tally.backends import Backends
from tally.errors import StoreUnavailable
from tally.settings import Settings
from tally.store.base import Store


async def test_the_services_of_one_process_share_one_of_each(tmp_path: Path) -> None:
    async with Backends(Settings(data_dir=tmp_path)) as shared:
        first, second = await asyncio.gather(shared.store(), shared.store())
        assert first is second
        assert shared.coordinator() is shared.coordinator()
        assert shared.queue() is shared.queue()
        await shared.coordinator().put("a", b"")
    with pytest.raises(StoreUnavailable, match="closed"):
        await first.ping()


async def test_what_nobody_asked_for_is_not_opened(tmp_path: Path) -> None:
    async with Backends(Settings(data_dir=tmp_path / "new")):
        pass
    assert not (tmp_path / "new").exists()


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give a list: as long as it has entries, each try to open the store takes one and fails."""
    reasons: list[str] = []
    really = backends.store

    async def store(settings: Settings) -> Store:
        if reasons:
            raise StoreUnavailable(reasons.pop())
        return await really(settings)

    monkeypatch.setattr(backends, "store", store)
    return reasons


async def test_a_store_that_is_away_at_the_start_is_waited_for(
    tmp_path: Path, away: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    away += ["not there yet", "refused"]
    async with Backends(Settings(data_dir=tmp_path, store_start_wait_s=20)) as shared:
        await (await shared.store()).ping()
    assert away == []
    assert capsys.readouterr().out.count("store away, waiting") == 1


async def test_a_store_that_stays_away_ends_the_wait_with_its_own_sentence(
    tmp_path: Path, away: list[str]
) -> None:
    away += ["refused"] * 100
    async with Backends(Settings(data_dir=tmp_path, store_start_wait_s=0.6)) as shared:
        with pytest.raises(StoreUnavailable, match="refused"):
            await shared.store()
    assert len(away) == 98
