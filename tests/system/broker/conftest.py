from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.system.broker.service import Service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Give a service of which nothing runs yet."""
    made = Service(tmp_path)
    try:
        yield made
    finally:
        await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Give a running service that a module's tests share, with a model named `shared`."""
    made = Service(tmp_path_factory.mktemp("service"))
    try:
        await made.broker(max_body_bytes=200_000, max_values=10_000)
        await made.workers()
        body = {"data": [float(i % 7) for i in range(70)], "start": "2024-01-01", "frequency": "D"}
        async with made.client.post(f"{made.url}/api/models/shared/fit", json=body) as response:
            assert response.status == 201, await response.text()
        yield made
    finally:
        await made.close()
