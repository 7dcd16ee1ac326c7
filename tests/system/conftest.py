"""A cluster of our processes over the embedded backends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.system.cluster import Cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Give a cluster without processes yet."""
    async with Cluster(tmp_path) as made:
        yield made
