from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tally.clock import SystemClock
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import NotFound, TooLarge
from tally.ids import NodeId
from tally.routing.follow import Follower
from tally.routing.home_call import Answer, HomeCall, HomeCaller
from tally.routing.homes import Homes, HomeUnavailable
from tally.routing.rendezvous import rendezvous
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode
from tests.unit.broker.acts import following, listening, node, seen
from tests.unit.model_api.acts import until

PROJECT = ProjectUuid("5f" * 16)
OK = (200, b"{}")
DONE = Answer(*OK)


def refusal(status: int, text: str = "no", **values: str) -> tuple[int, bytes]:
    return status, msgspec.json.encode({"text": text, "values": values})


class ScriptedWorker:
    """A real HTTP server that answers as it is told; the last answer is given for ever.

    Attributes:
        answers: status and body, or None: it takes the call and never answers.
        asked: what came in.
        healthy: whether it says that it lives.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes] | None] = [OK]
        self.asked: list[tuple[web.BaseRequest, bytes]] = []
        self.healthy = True
        self.ending = asyncio.Event()
        self.id = NodeId("")

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/health":
            return web.Response(status=200 if self.healthy else 500)
        self.asked.append((request, await request.content.read()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await self.ending.wait()
            answer = OK
        return web.Response(status=answer[0], body=answer[1], content_type="application/json")


@pytest.fixture
async def follower(coordinator: EmbeddedCoordinator) -> AsyncIterator[Follower]:
    made = Follower(coordinator, SystemClock(), grace_s=0.0)
    async with following(made):
        await seen(made, lambda: made.table.connected)
        yield made


@pytest.fixture
async def homes(follower: Follower) -> AsyncIterator[Homes]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        caller = HomeCaller(follower, session, "between us", max_answer_bytes=1000)
        yield Homes(follower, caller, SystemClock())


@pytest.fixture
async def workers(
    coordinator: EmbeddedCoordinator, follower: Follower
) -> AsyncIterator[list[ScriptedWorker]]:
    """Give three workers, in the order in which they are the project's home."""
    async with AsyncExitStack() as stack:
        started: list[ScriptedWorker] = []
        for _ in range(3):
            worker = ScriptedWorker()
            port = await listening(stack, web.Server(worker.answer))
            stack.callback(worker.ending.set)
            worker.id = NodeId(f"127.0.0.1_{port}")
            await coordinator.put(f"nodes/{worker.id}", node(port))
            started.append(worker)
        await seen(follower, lambda: len(follower.table.nodes) == 3)
        order = rendezvous(PROJECT, [worker.id for worker in started])
        yield sorted(started, key=lambda worker: order.index(worker.id))


def learn(body: bytes = b"rows", batch_id: str = "b-1") -> HomeCall:
    return HomeCall(
        PROJECT,
        "POST",
        "learn",
        {"errorHandling": "1"},
        batch_id=batch_id,
        headers={"content-type": "text/csv"},
        body=body,
        request_id="r-1",
    )


async def test_the_home_gets_the_body_as_it_came_with_the_batch_id_and_the_token(
    homes: Homes, workers: list[ScriptedWorker]
) -> None:
    sent = bytes(range(251)) * 12_000
    assert await homes.answer(learn(sent), 10) == DONE
    ((request, body),) = workers[0].asked
    assert request.raw_path == f"/internal/projects/{PROJECT}/learn?errorHandling=1"
    assert body == sent
    wanted = {
        "Authorization": "Bearer between us",
        "X-Batch-Id": "b-1",
        "X-Request-Id": "r-1",
        "Content-Type": "text/csv",
        "Content-Length": str(len(sent)),
    }
    assert {name: request.headers[name] for name in wanted} == wanted
    assert not workers[1].asked
    assert not workers[2].asked


async def test_a_question_has_no_batch_id(homes: Homes, workers: list[ScriptedWorker]) -> None:
    await homes.answer(HomeCall(PROJECT, "GET", "info"), 10)
    ((request, body),) = workers[0].asked
    assert "X-Batch-Id" not in request.headers
    assert body == b""


async def test_the_worker_that_is_the_home_is_asked_from_then_on(
    homes: Homes, workers: list[ScriptedWorker]
) -> None:
    workers[0].answers = [refusal(421, owner=workers[2].id)]
    for _ in range(3):
        await homes.answer(learn(), 10)
    assert [len(worker.asked) for worker in workers] == [1, 0, 3]


async def test_the_next_is_told_of_a_home_that_cannot_be_reached(
    homes: Homes,
    workers: list[ScriptedWorker],
    coordinator: EmbeddedCoordinator,
    follower: Follower,
) -> None:
    gone = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    await gone.wait_closed()
    await coordinator.put(f"nodes/127.0.0.1_{port}", node(port))
    await seen(follower, lambda: len(follower.table.nodes) == 4)
    workers[0].answers = [refusal(421, owner=f"127.0.0.1_{port}"), OK]
    assert await homes.answer(learn(), 10) == DONE
    first, _ = workers[0].asked[0]
    told = [
        request.headers["X-Suspects"]
        for worker in workers
        for request, _ in worker.asked
        if request is not first
    ]
    assert told == [f"127.0.0.1_{port}"]


async def test_a_home_whose_key_is_gone_is_told_of_as_well(
    homes: Homes, workers: list[ScriptedWorker]
) -> None:
    for worker in workers:
        worker.answers = [refusal(421, owner="10.0.0.9_1"), OK]
    assert await homes.answer(learn(), 10) == DONE
    told = [request.headers.get("X-Suspects") for worker in workers for request, _ in worker.asked]
    assert told[0] is None
    assert told[1] == "10.0.0.9_1"


async def test_a_worker_that_hangs_is_left_for_the_next_with_the_same_batch_id(
    homes: Homes, workers: list[ScriptedWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tally.routing.home_call._PROBE_AFTER_S", 0.01)
    workers[0].answers = [None]
    workers[0].healthy = False
    assert await homes.answer(learn(), 10) == DONE
    asked = [request.headers["X-Batch-Id"] for worker in workers for request, _ in worker.asked]
    assert asked == ["b-1", "b-1"]


async def test_a_worker_that_works_for_long_is_waited_for(
    homes: Homes, workers: list[ScriptedWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tally.routing.home_call._PROBE_AFTER_S", 0.01)
    workers[0].answers = [None]
    with pytest.raises(HomeUnavailable) as refused:
        await homes.answer(learn(), 0.5)
    assert refused.value.changed
    assert not workers[1].asked
    # It is slow and not dead, so nobody is told to take its projects over.
    workers[0].answers = [OK]
    await homes.answer(learn(), 10)
    assert [len(worker.asked) for worker in workers] == [2, 0, 0]


async def test_what_the_home_refuses_is_told_as_it_says_it(
    homes: Homes, workers: list[ScriptedWorker]
) -> None:
    workers[0].answers = [refusal(400, "Unknown metric [x]", metric="x")]
    with pytest.raises(Refused, match=r"Unknown metric \[x\]") as refused:
        await homes.answer(learn(), 10)
    assert (refused.value.status, refused.value.values) == (StatusCode.BAD_REQUEST, {"metric": "x"})
    workers[0].answers = [refusal(404)]
    with pytest.raises(NotFound):
        await homes.answer(learn(), 10)
    workers[0].answers = [(418, b"<html>")]
    with pytest.raises(Refused, match="could not be read") as refused:
        await homes.answer(learn(), 10)
    assert refused.value.status is StatusCode.INTERNAL_SERVER_ERROR


async def test_a_busy_home_is_asked_again(homes: Homes, workers: list[ScriptedWorker]) -> None:
    workers[0].answers = [refusal(503, "the store is away"), OK]
    assert await homes.answer(learn(), 10) == DONE
    workers[0].answers = [refusal(503, "the store is away")]
    with pytest.raises(HomeUnavailable, match="the store is away") as refused:
        await homes.answer(learn(), 0.1)
    assert refused.value.changed


async def test_without_workers_nothing_was_changed(homes: Homes) -> None:
    with pytest.raises(HomeUnavailable, match="no worker") as refused:
        await homes.answer(learn(), 0.05)
    assert not refused.value.changed


async def test_an_answer_that_is_too_long_is_not_kept_in_memory(
    homes: Homes, workers: list[ScriptedWorker]
) -> None:
    workers[0].answers = [(200, b"x" * 1001)]
    with pytest.raises(TooLarge, match="1000 bytes"):
        await homes.answer(learn(), 10)


def prediction() -> HomeCall:
    return HomeCall(PROJECT, "POST", "predict", body=b"rows", anywhere=True)


async def test_what_any_worker_can_answer_goes_to_one_that_is_idle(
    homes: Homes, workers: list[ScriptedWorker]
) -> None:
    for worker in workers:
        worker.answers = [None]
    calls = [asyncio.create_task(homes.answer(prediction(), 10)) for _ in range(9)]
    await until(lambda: sum(len(worker.asked) for worker in workers) == 9, "all are asked")
    assert [len(worker.asked) for worker in workers] == [3, 3, 3]
    for worker in workers:
        worker.ending.set()
    assert await asyncio.gather(*calls) == [DONE] * 9


async def test_who_answered_what_anybody_can_is_not_taken_for_the_home(
    homes: Homes, workers: list[ScriptedWorker]
) -> None:
    for _ in range(10):
        await homes.answer(prediction(), 10)
    before = len(workers[0].asked)
    await homes.answer(learn(), 10)
    assert len(workers[0].asked) == before + 1


async def test_what_any_worker_can_answer_is_answered_while_one_does_not_and_one_is_stopping(
    homes: Homes, workers: list[ScriptedWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tally.routing.home_call._PROBE_AFTER_S", 0.01)
    workers[0].answers = [None]
    workers[0].healthy = False
    workers[1].answers = [refusal(503, "this worker is stopping")]
    for _ in range(10):
        assert await homes.answer(prediction(), 10) == DONE
    assert len(workers[0].asked) <= 1  # for a while nobody asks one again that was silent


async def test_what_no_worker_can_answer_changes_nothing(
    homes: Homes, workers: list[ScriptedWorker]
) -> None:
    for worker in workers:
        worker.answers = [refusal(503, "the store is away")]
    with pytest.raises(HomeUnavailable, match="the store is away") as refused:
        await homes.answer(prediction(), 0.1)
    assert not refused.value.changed
    assert all(worker.asked for worker in workers)
    workers[2].answers = [refusal(500, "no such model")]
    with pytest.raises(Refused, match="no such model"):
        await homes.answer(prediction(), 10)


nodes = st.sets(st.integers(0, 1000), min_size=1, max_size=12).map(
    lambda numbers: {NodeId(f"host_{number}") for number in numbers}
)


@given(nodes, st.integers(0, 10_000))
def test_a_node_that_leaves_moves_no_project_but_its_own(known: set[NodeId], number: int) -> None:
    project = ProjectUuid(f"{number:032x}")
    order = rendezvous(project, known)
    for gone in known:
        assert rendezvous(project, known - {gone}) == [one for one in order if one != gone]
