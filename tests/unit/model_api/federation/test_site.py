"""What a peer's projects do for it."""

from __future__ import annotations

from model_api.projects.changes import Histograms
from tests.unit.model_api.federation.sites import TERMS, Federations, order
from tests.unit.model_api.projects.acts import rows


async def test_a_local_project_is_frozen_again_only_if_something_was_learned(
    federations: Federations,
) -> None:
    async with federations.place("ann") as place:
        asked = order("m")
        await place.making.create(asked, TERMS)
        site = place.peers.site(asked.project)
        first = await site.freeze()
        assert await site.freeze() is first
        await place.homes.change(asked.project, rows("a", count=20), "1")
        second = await site.freeze()
        assert (first.learned, second.learned) == (0, 20)
        assert await site.freeze() is second
        await place.homes.change(asked.project, Histograms(True), "2")
        assert len((await site.freeze()).payload) > len(second.payload)
