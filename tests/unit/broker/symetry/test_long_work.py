"""What a broker asks of a home that works for long, and how it has it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tally.ids import NodeId
from tally.projects.records import Head
from tests.unit.broker.symetry.edge import CID, SignedEdge, ask, signed_edge

BODY = b'{"targets":["0"]}'
QUERY = "modelid=m&algo=mlr"
GOING = (202, b'{"done":1,"most":3,"known":true}')
UNKNOWN = (202, b'{"done":0,"most":1,"known":false}')
DONE = (200, b"{}")


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[SignedEdge]:
    async with signed_edge(tmp_path, project_wait_s=0.5, job_wait_s=0.5) as made:
        yield made


async def started(edge: SignedEdge, *answers: tuple[int, bytes]) -> str:
    """Return the path of a build's job; the home answers it, after the check, as is told."""
    edge.answers = [DONE, *answers]
    status, headers, told = await ask(
        edge, "POST", "projects/irisTest/build", query=QUERY, body=BODY
    )
    assert status == 202, told
    return f"jobs/{headers['sym-job-id']}"


async def anybody(_: Head) -> bool:
    return True


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to be")


async def ended(edge: SignedEdge, job: str) -> tuple[int, dict[str, Any]]:
    for _ in range(2000):
        status, _, told = await ask(edge, "GET", job)
        if status != 202:
            return status, told
        await asyncio.sleep(0.005)
    raise AssertionError("it never ended")


def asked(edge: SignedEdge) -> list[tuple[str, str, bytes]]:
    """Return verb, query and body of each call after the check."""
    paths = [(urlsplit(path), body) for path, body in edge.asked[1:]]
    return [(path.path.rpartition("/")[2], path.query, body) for path, body in paths]


async def test_long_work_is_asked_about_by_its_id_alone_until_it_ends(edge: SignedEdge) -> None:
    job = await started(edge, GOING, GOING, DONE)
    status, told = await ended(edge, job)
    assert (status, told["statusString"], told["values"]) == (200, "Job is finished", {})
    assert asked(edge) == [("build", QUERY, BODY), ("work", "", b""), ("work", "", b"")]
    assert len({headers["X-Batch-Id"] for headers in edge.headers}) == 1


async def test_a_home_that_does_not_know_the_work_is_sent_the_whole_again(
    edge: SignedEdge,
) -> None:
    job = await started(edge, GOING, UNKNOWN, GOING, DONE)
    assert (await ended(edge, job))[0] == 200
    whole, short = ("build", QUERY, BODY), ("work", "", b"")
    assert asked(edge) == [whole, short, whole, short]


async def test_why_long_work_failed_is_told_by_the_job(edge: SignedEdge) -> None:
    job = await started(edge, GOING, (422, b'{"text":"5 rows are too few"}'))
    status, told = await ended(edge, job)
    assert (status, told["statusString"]) == (500, "5 rows are too few")


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_job_goes_once_its_home_says_that_nothing_comes_of_it(
    edge: SignedEdge, deleted: bool
) -> None:
    edge.answer = GOING
    job = await started(edge)
    await until(lambda: len(edge.asked) > 3)
    edge.stopping = (200, b'{"stopped":true}')
    if deleted:
        edge.stopping = (404, b'{"text":"there is no such project"}')
        (_, name), *_ = await edge.projects.names.all(CID)
        held = await edge.projects.claim(name.project, NodeId("n_1"), anybody)
        await held.commit(msgspec.structs.replace(held.head, deleted=True))
    assert (await ask(edge, "DELETE", job))[0] == 200
    assert (await ask(edge, "GET", job))[2]["statusString"] == "No such job"
    assert "stop" in [verb for verb, _, _ in asked(edge)]
    before = len(edge.asked)
    await asyncio.sleep(0.05)
    assert len(edge.asked) == before  # its broker asks no more


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((200, b'{"stopped":false}'), 202),
        ((503, b'{"text":"away"}'), 503),
        ((404, b'{"text":"there is nothing at this path"}'), 503),
    ],
)
async def test_a_job_stays_while_its_home_does_not_say_so(
    edge: SignedEdge, answer: tuple[int, bytes], status: int
) -> None:
    edge.answer = GOING
    job = await started(edge)
    await until(lambda: len(edge.asked) > 3)
    edge.stopping = answer
    assert (await ask(edge, "DELETE", job))[0] == status
    edge.answer = DONE
    assert (await ended(edge, job))[0] == 200
