"""Keeps the worker processes of `tally up --workers N` running."""

from __future__ import annotations

import asyncio
import sys

import structlog

_FIRST_RESTART_S, _LAST_RESTART_S = 0.5, 30.0
_HEALTHY_S = 30.0
_STOP_S = 15.0
_log = structlog.get_logger()


async def supervise(workers: int) -> None:
    """Run so many forecast workers and one fit worker, each started again when it dies."""
    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            group.create_task(_keep("serve", f"worker {number + 1}"))
        group.create_task(_keep("fit", "fit worker"))


async def _keep(role: str, name: str) -> None:
    """Run one process for ever; a crash that comes at once is answered ever more slowly."""
    wait_s = _FIRST_RESTART_S
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "model_api",
            "--role",
            role,
            stdin=asyncio.subprocess.DEVNULL,
            process_group=0,  # Ctrl-C in a terminal is for us; we pass it on as SIGTERM
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            raise
        if loop.time() - started > _HEALTHY_S:
            wait_s = _FIRST_RESTART_S
        _log.warning("process ended, starting it again", name=name, code=code, in_s=wait_s)
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _LAST_RESTART_S)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
