"""The worker's side of the computing processes: one spare, always warm; each does one job."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from model_api.fit_child import FRAME_BYTES, Job, Reply
from tally.errors import FitFailed

Progress = Callable[[float, str], None]

_MAX_FRAME_BYTES = 1 << 20
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SIGNAL_NAMES = {number.value: number.name for number in signal.Signals}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job."""

    reply: Reply
    data: bytes


class Children:
    """Starts computing processes ahead of need. Close it, or its spare stays until we die."""

    def __init__(self) -> None:
        self._spare: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._running: set[asyncio.subprocess.Process] = set()

    def warm(self) -> None:
        """Start a spare process, if there is none."""
        if self._spare is None:
            self._spare = asyncio.create_task(self._start())

    async def run(
        self, job: Job, data: bytes, *, timeout_s: float, progress: Progress | None = None
    ) -> Outcome:
        """Give a fresh process a job and return its answer.

        A cancelled call kills the process.

        Raises:
            FitFailed: the job failed, or its process died or took too long; says which, and
                whether another try could do better.
        """
        self.warm()
        assert self._spare is not None
        spare, self._spare = self._spare, None
        process = await spare
        self.warm()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._converse(process, job, data, progress)
        except TimeoutError:
            raise FitFailed(
                f"the fit was stopped after {timeout_s:g} s (TALLY_FIT_TIMEOUT_S)"
            ) from None
        finally:
            await self._end(process)

    async def close(self) -> None:
        """Kill the spare and whatever is running."""
        if self._spare is not None:
            spare, self._spare = self._spare, None
            await self._end(await spare)
        for process in list(self._running):
            await self._end(process)

    async def _start(self) -> asyncio.subprocess.Process:
        # Only what the child needs: its environment holds no secret of the store or the queue.
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        # One BLAS thread: fits run beside a service that wants the other cores.
        environment |= dict.fromkeys(_THREAD_LIMITS, "1")
        environment |= {
            name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "model_api.fit_child",
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            process_group=0,  # Ctrl-C in a terminal is for us; the child ends when we end it
        )
        self._running.add(process)
        return process

    async def _converse(
        self,
        process: asyncio.subprocess.Process,
        job: Job,
        data: bytes,
        progress: Progress | None,
    ) -> Outcome:
        assert process.stdin is not None
        assert process.stdout is not None
        encoded = msgspec.json.encode(job)
        try:
            process.stdin.write(len(encoded).to_bytes(FRAME_BYTES, "big") + encoded + data)
            await process.stdin.drain()
            while True:
                size = int.from_bytes(await process.stdout.readexactly(FRAME_BYTES), "big")
                if size > _MAX_FRAME_BYTES:
                    raise FitFailed(f"the fit process answered nonsense: a frame of {size} bytes")
                body = await process.stdout.readexactly(size)
                reply = msgspec.json.decode(body, type=Reply)
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

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self._running.discard(process)
        if process.returncode is None:
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()
