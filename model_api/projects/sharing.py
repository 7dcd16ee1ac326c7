"""One call on behalf of all who wait for it, and a bound on what computes at once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from tally.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Spawn(Protocol):
    """Starts a task that its owner awaits; such a task raises nothing."""

    def __call__(self, coroutine: Coroutine[Any, Any, None], /) -> object:
        """Start it."""
        ...


class Shared:
    """A question that each caller wants asked after it came, but not once for each caller.

    Who comes while it is being asked waits for the next time: the answer under way may be older
    than the caller.

    Args:
        call: the question; what it raises, all who wait for it get.
        spawn: who owns the task.
    """

    def __init__(self, call: Callable[[], Awaitable[None]], spawn: Spawn) -> None:
        self._call = call
        self._spawn = spawn
        self._running = False
        self._next: asyncio.Future[None] | None = None

    async def __call__(self) -> None:
        """Return once the question was asked, from beginning to end, after this call."""
        if self._next is None:
            self._next = _quiet_future()
            if not self._running:
                self._running = True
                self._spawn(self._run())
        await asyncio.shield(self._next)

    async def _run(self) -> None:
        try:
            while (asked := self._next) is not None:
                self._next = None
                await settle(asked, self._call())
        finally:
            self._running = False
            if self._next is not None:  # cancelled: nobody will ask any more
                self._next.set_exception(stopping())


@dataclass(slots=True)
class _Going(Generic[T]):
    """A call under way, what will come of it, and how many wait for that."""

    done: asyncio.Future[T]
    waiting: int = 0


class Joined(Generic[T]):
    """Calls that go on when those who wait go away; who asks for the same again waits with them.

    Args:
        spawn: who owns the tasks.
    """

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._going: dict[Hashable, _Going[T]] = {}

    async def __call__(self, key: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """Return what comes of the call of this key that is under way, or else of this one."""
        going = self._going.get(key)
        if going is None:
            going = _Going(quiet(asyncio.get_running_loop().create_future()))
            self._spawn(_settle_call(going.done, call))
            self._going[key] = going
            going.done.add_done_callback(lambda _: self._going.pop(key, None))
        going.waiting += 1
        try:
            return await asyncio.shield(going.done)
        finally:
            going.waiting -= 1

    def wanted(self, key: Hashable) -> bool:
        """Tell whether anybody waits for a call; any thread may ask."""
        going = self._going.get(key)
        return going is not None and going.waiting > 0


async def _settle_call(future: asyncio.Future[T], call: Callable[[], Awaitable[T]]) -> None:
    await settle(future, call())


async def settle(future: asyncio.Future[T], doing: Awaitable[T]) -> None:
    """Give a future what comes of something, an error included; `Unavailable` if cancelled."""
    try:
        result = await doing
    except asyncio.CancelledError:
        if not future.done():
            future.set_exception(stopping())
        raise
    except Exception as error:
        if not future.done():
            future.set_exception(error)
    else:
        if not future.done():
            future.set_result(result)


def stopping() -> Unavailable:
    """Return what is told to those who still wait for something when its owner is cancelled."""
    return Unavailable("this worker is stopping")


def _quiet_future() -> asyncio.Future[None]:
    return quiet(asyncio.get_running_loop().create_future())


def quiet(future: asyncio.Future[T]) -> asyncio.Future[T]:
    """Return a future whose error may stay unread, since everybody may have stopped waiting."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


class Threads:
    """Runs what computes beside the event loop, a bounded number at once.

    A thread cannot be stopped: one whose caller has gone away counts until it is done. Otherwise
    a few long questions, each given up and asked again, would take every thread there is.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns, once it has had its turn."""
        await self._free.acquire()
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        computing = quiet(
            loop.run_in_executor(None, lambda: context.run(function, *args, **kwargs))
        )
        computing.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(computing)
