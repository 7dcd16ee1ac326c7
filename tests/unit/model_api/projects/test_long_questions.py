"""Questions that may take minutes, and those that ask them again."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from model_api.projects.homes import Homes
from tally.engine import explore
from tests.unit.model_api.projects.acts import create, until
from tests.unit.model_api.projects.wire import FLOWERS, Broker, Reply, questions


async def test_a_short_question_does_not_wait_behind_long_ones(
    homes: Homes, broker: Broker
) -> None:
    project = await create(homes)
    await broker(project, "learn", FLOWERS)
    go_on = threading.Event()
    computing = asyncio.create_task(homes.long_thread.run(go_on.wait, 20))
    ask = questions({"inputAttributes": ["0", "1"]})
    waiting = [asyncio.create_task(broker(project, "vif", ask)) for _ in range(4)]
    short = await broker(project, "explore", ask, metric="bi")
    assert short.status == 200
    assert not any(one.done() for one in waiting)
    go_on.set()
    assert await computing
    assert {(await one).status for one in waiting} == {200}


async def test_a_long_question_that_is_asked_again_of_the_same_state_is_computed_once(
    homes: Homes, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await create(homes)
    await broker(project, "learn", FLOWERS)
    go_on, computed, compute = threading.Event(), 0, explore.variance_inflation

    def counted(*args: Any) -> Any:
        nonlocal computed
        computed += 1
        assert go_on.wait(20)
        return compute(*args)

    monkeypatch.setattr(explore, "variance_inflation", counted)
    questions_ = broker.app._long

    async def ask(*attributes: str) -> asyncio.Task[Reply]:
        before = sum(going.waiting for going in questions_._going.values())
        asked = questions({"inputAttributes": list(attributes)})
        task = asyncio.create_task(broker(project, "vif", asked))
        await until(
            lambda: sum(going.waiting for going in questions_._going.values()) > before, "it waits"
        )
        return task

    async def give_up(task: asyncio.Task[Reply]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    first = await ask("0", "1")
    await until(lambda: computed == 1, "it is being computed")
    await give_up(first)
    await give_up(await ask("0"))  # before its turn: it takes none
    again = await ask("0", "1")
    await broker(project, "learn", FLOWERS)
    newer = await ask("0", "1")
    go_on.set()
    assert [(await again).status, (await newer).status] == [200, 200]
    assert computed == 2
