"""What a commit says when nobody told it how it ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tally.errors import OutcomeUnknown, StoreUnavailable
from tally.store.base import Check, Write
from tally.store.cql import CqlStore
from tally.store.cql_cluster import CqlOptions

if TYPE_CHECKING:
    from tests.conftest import Server
    from tests.integration.cql.conftest import Link, Open, Until


@pytest.mark.parametrize("expected_to_exist", [False, True])
async def test_a_commit_whose_answer_was_lost_is_decided_by_its_token(
    cql_server: Server,
    link: Link,
    open_at: Open,
    until: Until,
    partition: str,
    expected_to_exist: bool,
) -> None:
    near, far = await open_at(cql_server.url), await open_at(link.url)
    made = await near.commit(partition, [Write("old", None, b"0"), Write("check", None, b"")])
    assert made is not None
    writes = [Write("new", None, b"1")]
    if expected_to_exist:
        writes.append(Write("old", made["old"], b"1"))
    link.carries_answers = False
    commit = asyncio.ensure_future(far.commit(partition, writes, [Check("check", made["check"])]))

    async def is_there() -> bool:
        return await near.get(partition, "new") is not None

    await until(is_there)
    await link.cut()
    row = await near.get(partition, "new")
    assert row is not None
    assert await commit == dict.fromkeys([write.key for write in writes], row.token)


async def test_a_commit_that_never_arrived_is_not_known_to_have_failed(
    cql_server: Server, link: Link, open_at: Open, partition: str
) -> None:
    near, far = await open_at(cql_server.url), await open_at(link.url)
    link.carries_requests = False
    commit = asyncio.ensure_future(far.commit(partition, [Write("k", None, b"1")]))
    await asyncio.sleep(0.1)
    await link.cut()
    with pytest.raises(OutcomeUnknown, match=partition):
        await commit
    assert await near.get(partition, "k", fresh=True) is None
    assert await far.commit(partition, [Write("k", None, b"2")])


async def test_a_deletion_leaves_no_token_to_decide_by(
    cql_server: Server, link: Link, open_at: Open, until: Until, partition: str
) -> None:
    near, far = await open_at(cql_server.url), await open_at(link.url)
    made = await near.commit(partition, [Write("k", None, b"0")])
    assert made is not None
    link.carries_answers = False
    commit = asyncio.ensure_future(far.commit(partition, [Write("k", made["k"], None)]))

    async def is_gone() -> bool:
        return await near.get(partition, "k") is None

    await until(is_gone)
    await link.cut()
    with pytest.raises(OutcomeUnknown):
        await commit


async def test_a_read_whose_answer_was_lost_is_unavailable(
    link: Link, open_at: Open, partition: str
) -> None:
    far = await open_at(link.url)
    link.carries_answers = False
    read = asyncio.ensure_future(far.get(partition, "k"))
    await asyncio.sleep(0.1)
    await link.cut()
    with pytest.raises(StoreUnavailable) as caught:
        await read
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_cancelled_caller_does_not_disturb_the_others(
    cql_server: Server, open_at: Open, partition: str
) -> None:
    store = await open_at(cql_server.url)
    for i in range(20):
        task = asyncio.ensure_future(store.commit(partition, [Write(f"{i}", None, b"")]))
        await asyncio.sleep(0.0005 * i)
        task.cancel()
    assert await store.commit(partition, [Write("last", None, b"")])


async def test_a_server_that_hangs_is_waited_for_no_longer_than_the_deadline(
    link: Link, partition: str
) -> None:
    hosts = (link.url.removeprefix("cql://"),)
    store = await CqlStore.connect(CqlOptions(hosts, "integration", timeout_s=0.3))
    link.carries_answers = False
    async with asyncio.timeout(1):
        with pytest.raises(StoreUnavailable):
            await store.get(partition, "k")
    async with asyncio.timeout(5):
        with pytest.raises(OutcomeUnknown):
            await store.commit(partition, [Write("k", None, b"1")])
    await link.cut()
    await store.close()
