"""The worker's side of the computing processes: spares are kept warm, and each does one job.

Starting one takes a processor for a while, just when the workers are to load what was fitted. So
spares are replaced once things are quiet; only the last one is replaced at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from model_api.jobs import FRAME_BYTES, Job, Reply
from tally.errors import FitFailed

Progress = Callable[[float, str], None]

# A fit takes two, one to compute and a fresh one to read back what was stored; the third is there
# for the fit that follows at once.
_SPARES = 3
_QUIET_S = 0.5
_MAX_FRAME_BYTES = 1 << 20
_MAX_STATE_BYTES = 1 << 30
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SIGNAL_NAMES = {number.value: number.name for number in signal.Signals}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job."""

    reply: Reply
    data: bytes


class Children:
    """Starts computing processes ahead of need. Close it, or its spares stay until we die."""

    def __init__(self) -> None:
        self._spares: deque[asyncio.Task[asyncio.subprocess.Process]] = deque()
        self._running: set[asyncio.subprocess.Process] = set()
        self._warming: asyncio.TimerHandle | None = None
        self._closed = False

    def warm(self, spares: int = _SPARES) -> None:
        """Start spare processes until there are so many."""
        while len(self._spares) < spares:
            self._spares.append(asyncio.create_task(_start()))

    async def run(
        self, job: Job, data: bytes, *, timeout_s: float, progress: Progress | None = None
    ) -> Outcome:
        """Give a fresh process a job and return its answer.

        A cancelled call kills the process.

        Raises:
            FitFailed: the job failed, or its process died or took too long; says which, and
                whether another try could do better.
        """
        process = await self._take()
        try:
            async with asyncio.timeout(timeout_s):
                return await _converse(process, job, data, progress)
        except TimeoutError:
            raise FitFailed(
                f"the {job.kind} was stopped after {timeout_s:g} s"
                + (" (TALLY_FIT_TIMEOUT_S)" if job.kind == "fit" else "")
            ) from None
        finally:
            self._running.discard(process)
            await _end(process)
            self._warm_later()

    async def close(self) -> None:
        """Kill the spares and whatever is running."""
        self._closed = True
        self._rest()
        while self._spares:
            starting = self._spares.popleft()
            await asyncio.wait({starting})
            if not starting.cancelled() and starting.exception() is None:
                await _end(starting.result())
        for process in list(self._running):
            _kill(process)
            await process.wait()  # the call that runs it reads what is left

    async def _take(self) -> asyncio.subprocess.Process:
        """Return the oldest spare that is alive."""
        self._rest()
        while True:
            self.warm(1)
            starting = self._spares.popleft()
            try:
                # Shielded, so that a cancelled call leaves the start to end in good order.
                process = await asyncio.shield(starting)
            except asyncio.CancelledError:
                self._spares.appendleft(starting)
                raise
            except OSError as error:
                reason = f"no process could be started to fit it: {error.strerror}"
                raise FitFailed(reason, retryable=True) from error
            self._running.add(process)
            self.warm(1)
            if process.returncode is None:
                return process
            # Something ended it while it waited, which is not the fault of this job.
            self._running.discard(process)
            await _end(process)

    def _warm_later(self) -> None:
        self._rest()
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._warming = loop.call_later(_QUIET_S, self.warm)

    def _rest(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
            self._warming = None


async def _start() -> asyncio.subprocess.Process:
    # Only what the child needs: its environment holds no secret of the store or the queue.
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # One BLAS thread: fits run beside a service that wants the other cores.
    environment |= dict.fromkeys(_THREAD_LIMITS, "1")
    environment |= {
        name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "model_api.fit_child",
        str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        process_group=0,  # Ctrl-C in a terminal is for us; the child ends when we end it
    )


async def _converse(
    process: asyncio.subprocess.Process, job: Job, data: bytes, progress: Progress | None
) -> Outcome:
    assert process.stdin is not None
    assert process.stdout is not None
    encoded = msgspec.json.encode(job)
    try:
        process.stdin.write(len(encoded).to_bytes(FRAME_BYTES, "big") + encoded + data)
        await process.stdin.drain()
        while True:
            reply = await _read(process.stdout)
            raw = await process.stdout.readexactly(reply.bytes)
            if reply.kind == "progress":
                if progress is not None:
                    progress(reply.progress, reply.doing)
            elif reply.kind == "failed":
                raise FitFailed(reply.reason, retryable=reply.retryable)
            else:
                return Outcome(reply, raw)
    except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
        code = await process.wait()
        ended = _SIGNAL_NAMES.get(-code, "a signal") if code < 0 else f"exit code {code}"
        hint = ", as it does when memory runs out" if code == -signal.SIGKILL else ""
        raise FitFailed(f"the fit process was ended by {ended}{hint}", retryable=True) from None


async def _read(answers: asyncio.StreamReader) -> Reply:
    size = int.from_bytes(await answers.readexactly(FRAME_BYTES), "big")
    if size > _MAX_FRAME_BYTES:
        raise FitFailed(f"the fit process answered nonsense: a frame of {size} bytes")
    try:
        reply = msgspec.json.decode(await answers.readexactly(size), type=Reply)
    except msgspec.MsgspecError as error:
        raise FitFailed(f"the fit process answered nonsense: {error}") from error
    if not 0 <= reply.bytes <= _MAX_STATE_BYTES:
        raise FitFailed(f"the fit process answered nonsense: a model of {reply.bytes} bytes")
    return reply


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a child and wait until it is gone."""
    _kill(process)
    # Not `wait`, which never returns while an answer that nobody reads fills the pipe.
    await process.communicate()


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a child, and what it has started itself."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
