from __future__ import annotations

import asyncio
import gc
import inspect
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tally.client import (
    AsyncModel,
    AsyncProject,
    AsyncTally,
    Model,
    Project,
    ProjectRefused,
    Tally,
)
from tally.client.portal import _loop, wait_for
from tests.unit.client.conftest import QUICK
from tests.unit.client.signed_broker import CID, KEY, Says, SignedBroker, signed_broker


@pytest.fixture
def serving() -> Iterator[SignedBroker]:
    """Give a server in the clients' own loop: these tests block theirs."""
    context = signed_broker()
    yield wait_for(context.__aenter__())
    wait_for(context.__aexit__(None, None, None))


def test_calls_return_when_there_is_an_answer(serving: SignedBroker) -> None:
    serving.says.extend([Says(), Says(values={"stringList": {"values": ["p"]}}), Says(400, "no")])
    with Tally(CID, KEY, serving.url, patience=QUICK) as tally:
        project = tally.create("p")
        assert tally.projects() == ["p"]
        with pytest.raises(ProjectRefused, match=r"^no$"):
            project.freeze()


async def test_they_also_return_where_a_loop_runs_as_in_a_notebook() -> None:
    async with asyncio.timeout(30):
        context = signed_broker()
        broker = await asyncio.to_thread(wait_for, context.__aenter__())
        with Tally(CID, KEY, broker.url, patience=QUICK) as tally:
            tally.project("p").freeze()  # blocks this loop, and not its own
        await asyncio.to_thread(wait_for, context.__aexit__(None, None, None))


def return_once_it_waits(thread: int) -> None:
    """Look until a thread waits on a condition; it cannot tell us while it does."""
    give_up = time.monotonic() + 10
    while sys._current_frames()[thread].f_code is not threading.Condition.wait.__code__:
        assert time.monotonic() < give_up
        time.sleep(0.001)


def test_a_caller_that_is_interrupted_leaves_no_work_behind() -> None:
    ended = threading.Event()
    caller = threading.get_ident()

    async def work() -> None:
        try:
            await asyncio.to_thread(return_once_it_waits, caller)
            signal.pthread_kill(caller, signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        wait_for(work())
    assert ended.is_set()  # before a script ends that was interrupted


FORKS = """
import asyncio, os, signal
from tally.client.portal import wait_for
wait_for(asyncio.sleep(0))
child = os.fork()
if not child:
    signal.alarm(30)
    wait_for(asyncio.sleep(0))
    os._exit(0)
raise SystemExit(os.waitpid(child, 0)[1])
"""


def test_a_forked_process_has_a_loop_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], timeout=60, check=False)
    assert done.returncode == 0


def test_a_client_that_is_dropped_closes_its_connections(serving: SignedBroker) -> None:
    tally = Tally(CID, KEY, serving.url, patience=QUICK)
    project = tally.project("p")
    connections = tally._inner._session.connections
    del tally
    gc.collect()
    project.freeze()  # in use through its project
    http = connections.http()
    del project
    gc.collect()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), _loop()).result(10)
    assert http.closed


def test_everything_that_can_be_awaited_can_be_waited_for() -> None:
    for awaited, blocks in ((AsyncProject, Project), (AsyncTally, Tally), (AsyncModel, Model)):
        methods = {
            name for name, _ in inspect.getmembers(awaited, inspect.isfunction) if name[0] != "_"
        } - {"close_when_unused"}
        assert methods <= set(dir(blocks))
        for name in methods:
            theirs = inspect.signature(getattr(awaited, name)).parameters
            ours = inspect.signature(getattr(blocks, name)).parameters
            assert list(theirs) == list(ours), name
            assert getattr(blocks, name).__doc__, name
