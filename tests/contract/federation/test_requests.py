"""Questions from peer to peer, which a transport does not keep."""

from __future__ import annotations

import asyncio

import pytest

from tally.federation.messages import MessageType
from tally.federation.transport import TransportUnavailable
from tests.contract.federation.conftest import Peer


async def test_a_question_is_answered_by_the_peer_that_it_is_for(peers: list[Peer]) -> None:
    question = peers[0].message(MessageType.EXPLORE_REQ, to=peers[1].identity.uuid)
    answer = peers[1].message(MessageType.EXPLORE_REP)

    async def serve() -> None:
        while not (asked := await peers[1].transport.asked(10)):
            await peers[1].transport.poll(10, 1.0)
        assert asked[0].data == question.data
        assert abs(asked[0].broker_ms - await peers[1].transport.now_ms()) < 5000
        await peers[1].transport.reply(asked[0].reply_to, answer)

    serving = asyncio.ensure_future(serve())
    to = peers[1].identity.uuid
    assert await peers[0].transport.request(to, question, 10.0) == answer.data
    await serving
    assert not await peers[2].transport.asked(10)


async def test_a_question_to_nobody_fails_at_once_and_one_to_a_silent_peer_in_time(
    peers: list[Peer],
) -> None:
    question = peers[0].message(MessageType.EXPLORE_REQ, to="f" * 32)
    with pytest.raises(TransportUnavailable, match="nobody listens"):
        await peers[0].transport.request("f" * 32, question, 30.0)
    with pytest.raises(TransportUnavailable, match="did not answer"):
        await peers[0].transport.request(peers[1].identity.uuid, question, 0.2)
    # The connection is as good as before.
    await peers[0].transport.publish(peers[0].message())


async def test_no_poll_waits_while_a_question_does(peers: list[Peer]) -> None:
    question = peers[0].message(MessageType.EXPLORE_REQ, to=peers[1].identity.uuid)
    answer = peers[1].message(MessageType.EXPLORE_REP)
    asking = asyncio.ensure_future(
        peers[0].transport.request(peers[1].identity.uuid, question, 20.0)
    )
    async with asyncio.timeout(10):
        # What a poll hears of may be there before it, and may come while it waits.
        for _ in range(2):
            await peers[1].transport.poll(10, 60.0)
        (asked,) = await peers[1].transport.asked(10)
        await peers[1].transport.reply(asked.reply_to, answer)
        assert await asking == answer.data
