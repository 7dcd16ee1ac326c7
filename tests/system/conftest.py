"""Clusters of our processes."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.cluster import Cluster, settings_of

if TYPE_CHECKING:
    from tests.conftest import Server


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Give a cluster over the embedded backends, without processes yet."""
    async with Cluster(tmp_path) as made:
        yield made


@pytest.fixture(params=["embedded", "cql"])
async def cluster_over_each_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Cluster]:
    """Give a cluster over the embedded store, and one over a CQL server."""
    settings = {}
    if request.param == "cql":
        server: Server = request.getfixturevalue("cql_server")
        settings = settings_of(server)
        mine = f"projects_{uuid.uuid4().hex[:12]}"
        settings["MASTER_KEY"] = base64.b64encode(bytes(32)).decode()
        settings["STORE_URL"] = settings["STORE_URL"].removesuffix("/tally") + f"/{mine}"
    async with Cluster(tmp_path, settings) as made:
        yield made
