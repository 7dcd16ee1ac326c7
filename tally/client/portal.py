"""An event loop in a thread of its own, for callers that have none, or have one that is taken.

A notebook runs a loop already, in which blocking calls would wait for themselves; this one is
free. One loop serves all clients of a process.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
A = TypeVar("A")

_LAST_WORDS_S = 5.0


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    # A daemon: it ends with the process, whatever still waits for an answer.
    threading.Thread(target=loop.run_forever, name="tally-client", daemon=True).start()
    return loop


# A forked child has the loop and not its thread: it makes its own.
os.register_at_fork(after_in_child=_loop.cache_clear)


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns; a caller that is interrupted cancels it."""
    ended = threading.Event()

    async def watched() -> T:
        try:
            return await work
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(watched(), _loop())
    try:
        return future.result()
    except KeyboardInterrupt:
        # Ctrl-C is the caller's; the work must not go on unseen. Before a script ends with it, the
        # work may have to tell the server that nobody waits any more.
        future.cancel()
        ended.wait(_LAST_WORDS_S)
        raise
    except BaseException:
        future.cancel()
        raise


def run_soon(work: Coroutine[Any, Any, None]) -> None:
    """Have a coroutine run without waiting for it; also where the garbage collector calls."""
    asyncio.run_coroutine_threadsafe(work, _loop())


class Blocking(Generic[A]):
    """Something whose methods block, in front of something whose methods are awaited.

    Args:
        inner: the latter.
    """

    def __init__(self, inner: A) -> None:
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner).removeprefix("Async")


def blocking(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Blocking[Any], P], T]:
    """Return a method that waits for what a method of the inner object comes to.

    It has the same arguments and the same documentation.
    """

    @functools.wraps(method)
    def call(self: Blocking[Any], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return wait_for(method(self._inner, *args, **kwargs))

    return call
