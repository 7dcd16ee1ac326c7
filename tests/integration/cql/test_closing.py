"""What a store leaves behind when it is closed: nothing, whatever it was doing."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from tally.errors import StoreUnavailable
from tally.store.cql import CqlStore
from tally.store.cql_cluster import CqlOptions

if TYPE_CHECKING:
    from tests.conftest import Server
    from tests.integration.cql.conftest import Link, Until


async def connect(link: Link) -> CqlStore:
    return await CqlStore.connect(CqlOptions((link.url.removeprefix("cql://"),), "integration"))


async def is_idle(link: Link) -> bool:
    return not link.busy


async def test_a_store_that_is_closed_while_it_connects_again_leaves_no_connection(
    link: Link, until: Until
) -> None:
    store = await connect(link)
    link.delays_registration = True
    await link.cut()
    await link.registering.wait()  # the control connection is half way back
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0.3)  # the driver knows that it ends
    link.flowing.set()
    await closing
    await until(lambda: is_idle(link))


async def test_a_store_whose_server_hangs_is_closed_and_its_requests_fail(
    link: Link, until: Until
) -> None:
    store = await connect(link)
    link.carries_answers = False
    waiting = [asyncio.ensure_future(store.get("p", "k")) for _ in range(8)]
    await asyncio.sleep(0.1)  # they are on their way
    async with asyncio.timeout(3):  # a request alone would wait for 5 s
        await store.close()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [StoreUnavailable] * 8
    await until(lambda: is_idle(link))


async def test_a_store_is_closed_also_while_no_new_connection_is_answered(
    link: Link, until: Until
) -> None:
    store = await connect(link)
    await link.cut()
    link.carries_answers = False
    await asyncio.sleep(0.3)  # the driver waits for the answer to its first greeting
    async with asyncio.timeout(3):  # for which it would wait 5 s
        await store.close()
    await until(lambda: is_idle(link))


async def test_a_store_that_is_never_told_yes_leaves_no_connection(
    link: Link, until: Until
) -> None:
    link.carries_answers = False
    opening = asyncio.ensure_future(connect(link))

    async def is_busy() -> bool:
        return link.busy

    await until(is_busy)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await until(lambda: is_idle(link))


async def test_the_driver_s_threads_end_with_the_store(cql_server: Server, until: Until) -> None:
    def threads() -> set[str]:
        return {thread.name for thread in threading.enumerate() if "asyncio" not in thread.name}

    before = threads()
    store = await CqlStore.connect(CqlOptions(cql_server.hosts, "integration"))
    assert threads() > before
    await store.close()

    async def are_gone() -> bool:
        return threads() <= before

    await until(are_gone)


async def test_closing_twice_is_closing_once(link: Link, until: Until) -> None:
    store = await connect(link)
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.get("p", "k")
    await until(lambda: is_idle(link))
