"""A broker and a worker in this process, over embedded backends, and a customer's client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tally.client import AsyncTally
from tests.integration.symetry.conftest import customer
from tests.system.broker.service import Service

IRIS = Path(__file__).parents[2] / "data" / "iris"
SL, SW, PL, PW = "sepal_length", "sepal_width", "petal_length", "petal_width"
X3, X4 = [SW, PL, PW], [SL, SW, PL, PW]
SPECIES = ["Iris_setosa", "Iris_versicolor", "Iris_virginica"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Give a running service that a module's tests share."""
    made = Service(tmp_path_factory.mktemp("client"))
    try:
        await made.broker()
        await made.workers()
        yield made
    finally:
        await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(service: Service) -> AsyncIterator[AsyncTally]:
    """Give a customer's client."""
    key = (await customer(service, "ann")).key
    async with AsyncTally("ann", key, service.url) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bob(service: Service) -> AsyncIterator[AsyncTally]:
    """Give another's."""
    key = (await customer(service, "bob")).key
    async with AsyncTally("bob", key, service.url) as made:
        yield made
