"""The CQL server is killed and comes back: what is loaded is served, nothing is half done."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.clients import forecasting
from tests.system.cluster import Cluster, settings_of

if TYPE_CHECKING:
    from tests.conftest import Server


@pytest.mark.timeout(240)
async def test_loaded_forecasts_go_on_while_the_store_is_away_and_fits_are_refused_at_once(
    tmp_path: Path, private_cql: Server
) -> None:
    async with Cluster(tmp_path, settings_of(private_cql)) as cluster:
        await cluster.start()
        assert await cluster.version(1.0) == 1
        async with forecasting(cluster, 4) as seen:
            private_cql.kill()
            await cluster.degraded("store")
            began = time.monotonic()
            refused = await cluster.fit(2.0)
            assert refused.status == 503, str(refused)
            assert "Retry-After" in refused.headers
            assert time.monotonic() - began < 5
            unknown = await cluster.forecast(model="never-heard-of")
            assert unknown.status == 503, str(unknown)
            private_cql.start()
            await cluster.ready(deadline_s=60)
            made = await cluster.version(3.0)
        assert seen.wrong == []
        # The refused fit left nothing behind, or was never written.
        assert made == 2
        assert [v["version"] for v in await cluster.versions()] == [1, 2]
