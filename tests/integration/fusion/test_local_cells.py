"""Fusion projects whose cells are on the same server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.fusion.servers import (
    cell,
    customer,
    explored,
    fuse,
    learn,
    server,
    third,
)
from tests.integration.symetry.customer import Customer
from tests.system.broker.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with server(tmp_path_factory.mktemp("fusion")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(service: Service) -> Customer:
    made = await customer(service, "ann")
    for number in range(3):
        await learn(made, f"third{number}", third(number))
    return made


async def test_three_thirds_are_explored_like_the_whole(ann: Customer) -> None:
    told = await fuse(ann, "thirds", *(cell(ann, f"third{n}") for n in range(3)))
    assert (told.status, told.text) == (201, "SYMETRYML Created with id:thirds")
    assert (await explored(ann, "thirds"))["count"] == 150
