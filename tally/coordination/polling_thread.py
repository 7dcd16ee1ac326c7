"""One thread that runs jobs in order and looks around between them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class PollingThread:
    """Owns whatever may be used from one thread only, and polls it without the event loop.

    The event loop then hears of changes only, where a poll through an executor would wake it a
    hundred times a second for nothing.

    Args:
        poll: called about every `period_s` in the thread; must not raise.
        period_s: seconds between two polls.
        needed: tells whether polls are wanted now; asked after each job and each poll.
    """

    def __init__(
        self, poll: Callable[[], None], period_s: float, needed: Callable[[], bool]
    ) -> None:
        self._poll = poll
        self._period_s = period_s
        self._needed = needed
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="coordination", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function in the thread, after those submitted before."""
        future: Future[T] = Future()
        self._jobs.put(partial(_carry_out, future, partial(function, *args, **kwargs)))
        return future

    def stop(self) -> None:
        """Run what was submitted, then end the thread and wait for that."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        next_poll = time.monotonic()
        while True:
            timeout = max(0.0, next_poll - time.monotonic()) if self._needed() else None
            try:
                job = self._jobs.get(timeout=timeout)
            except queue.Empty:
                pass
            else:
                if job is None:
                    return
                job()
            # Also after a job, or a stream of jobs would leave no moment to poll.
            if self._needed() and time.monotonic() >= next_poll:
                self._poll()
                next_poll = time.monotonic() + self._period_s


def _carry_out(future: Future[T], function: Callable[[], T]) -> None:
    if future.set_running_or_notify_cancel():
        try:
            result = function()
        except BaseException as error:  # belongs to whoever awaits the future
            future.set_exception(error)
        else:
            future.set_result(result)
