"""NATS forgets tickets and is away: it hints, and the ledger remembers (V3)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.system.cluster import Cluster, settings_of

if TYPE_CHECKING:
    from tests.conftest import Server


async def test_every_accepted_fit_ends_although_nats_lost_all_its_tickets(
    tmp_path: Path, private_nats: Server
) -> None:
    async with Cluster(tmp_path, settings_of(private_nats)) as cluster:
        await cluster.start(fitters=0)
        fits = [await cluster.begin(float(i), f"model-{i}") for i in range(5)]
        private_nats.wipe_and_start()
        cluster.fitter()
        for fit in fits:
            assert (await cluster.state(fit))["state"] == "SERVED"
        assert await cluster.version(1.0) == 1


async def test_fits_are_accepted_while_nats_is_away_and_done_when_it_is_back(
    tmp_path: Path, private_nats: Server
) -> None:
    async with Cluster(tmp_path, settings_of(private_nats)) as cluster:
        await cluster.start()
        assert await cluster.version(1.0) == 1
        private_nats.kill()
        await cluster.degraded("queue")
        fit = await cluster.begin(2.0)
        assert (await cluster.forecast(7)).version == 1
        private_nats.start()
        assert (await cluster.state(fit))["state"] == "SERVED"
        await cluster.ready()
        assert await cluster.version(3.0) == 3
