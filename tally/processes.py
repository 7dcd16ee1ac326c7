"""Running a process's services: until one of them dies, or a signal asks to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import structlog

from tally.errors import TallyError
from tally.memory import keep_freed_memory

Service = Callable[[], Awaitable[None]]

_log = structlog.get_logger()


def run(main: Coroutine[Any, Any, None], *, spawns: bool) -> None:
    """Run a coroutine to its end, on uvloop where that is installed: its sockets are quicker.

    Args:
        main: what the process does.
        spawns: it starts processes; asyncio's own loop is taken, as uvloop's gives them no
            process group.
    """
    keep_freed_memory()
    factory = None if spawns else _uvloop()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None  # there is none for this system
    return uvloop.new_event_loop


async def run_until_stopped(services: Sequence[Service]) -> None:
    """Run all services until SIGTERM or SIGINT, or until one of them ends.

    A service that ends by itself ends the process: its leases then free the traffic, where a
    process that lives on without one of its loops would look healthy.

    Raises:
        TallyError: what ended a service, if it was that.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.ensure_future(service()) for service in services]
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
            raise _cause(error)
    if not stop.is_set():
        raise RuntimeError("a service ended by itself")


def _cause(error: BaseException) -> BaseException:
    """Return the one sentence for the user inside nested exception groups, if there is one."""
    while isinstance(error, BaseExceptionGroup):
        causes = error.exceptions
        error = next((c for c in causes if isinstance(c, TallyError)), causes[0])
    return error
