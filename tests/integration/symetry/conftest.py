"""A broker and a worker in this process, over embedded backends, with two customers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from broker.settings import BrokerSettings
from tally.clock import SystemClock
from tally.master_key import master_key
from tally.store.sqlite import SqliteStore
from tally.users import Users
from tests.integration.symetry.customer import Customer
from tests.system.broker.service import Service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Give a running service that a module's tests share."""
    made = Service(tmp_path_factory.mktemp("symetry"))
    try:
        await made.broker(max_body_bytes=2_000_000, socket_message_bytes=1_000_000)
        await made.workers()
        yield made
    finally:
        await made.close()


async def customer(service: Service, cid: str) -> Customer:
    """Return a customer of a service, made if need be."""
    store = SqliteStore(service.folder / "store.db")
    try:
        master = master_key(BrokerSettings(data_dir=service.folder))
        users = Users(store, master, SystemClock())
        key = await users.key(cid) or await users.add(cid)
    finally:
        await store.close()
    return Customer(service.client, service.url, cid, key)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(service: Service) -> Customer:
    return await customer(service, "ann")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bob(service: Service) -> Customer:
    return await customer(service, "bob")
