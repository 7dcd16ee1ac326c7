"""Answers that get lost on the way: the client asks again, and every row counts once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tally.client import AsyncTally, Patience
from tests.system.broker.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENT = Patience(total_s=60, first_s=0.001, most_s=0.01)


@asynccontextmanager
async def forgetful_proxy(url: str, chance: random.Random) -> AsyncIterator[str]:
    """Give the address of a proxy that loses requests, and answers, and hands on the rest."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def answer(request: web.BaseRequest) -> web.Response:
            body = await request.read()
            fate = chance.choice(("hand on", "lose request", "lose answer", "busy"))
            if fate == "busy":
                return web.Response(status=503, text="{}")
            if fate == "lose request":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            target = URL(f"{url}{request.raw_path}", encoded=True)
            # Signed is the path alone, so another Host does not matter.
            headers = {name: text for name, text in request.headers.items() if name != "Host"}
            async with session.request(
                request.method, target, data=body or None, headers=headers
            ) as response:
                told = await response.read()
            if fate == "lose answer":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            kind = {"Content-Type": response.headers["Content-Type"]}
            return web.Response(status=response.status, body=told, headers=kind)

        runner = web.ServerRunner(web.Server(answer, auto_decompress=False))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_every_row_counts_once_however_many_answers_are_lost(
    service: Service, ann: AsyncTally
) -> None:
    await ann.create("lossy")
    async with (
        forgetful_proxy(service.url, random.Random(7)) as url,
        AsyncTally("ann", ann.account.key, url, patience=PATIENT) as tally,
    ):

        async def learn(column: int) -> None:
            rows = [{f"x{column}": number} for number in range(40)]
            project = tally.project("lossy")
            await project.learn(rows, "C", rows_per_request=4)
            await project.forget(rows[:20], "C", rows_per_request=5)

        await asyncio.gather(*map(learn, range(4)))
    told = await ann.project("lossy").describe()
    assert sorted((each.name, each.count, each.mean) for each in told) == [
        (f"x{column}", 20, 29.5) for column in range(4)
    ]
