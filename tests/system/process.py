"""One of our processes, which a test may stop and kill, and what it waits for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

T = TypeVar("T")
Role = Literal["broker", "serve", "fit", "up"]

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0
GONE_S = 10.0
_POLL_S = 0.02


async def until(
    condition: Callable[[], Awaitable[T | None]],
    what: str,
    deadline_s: float = DEADLINE_S,
    poll_s: float = _POLL_S,
) -> T:
    """Return the first true result of a condition, asked again and again.

    Raises:
        AssertionError: it was never true.
    """
    end = time.monotonic() + deadline_s
    while True:
        if found := await condition():
            return found
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        await asyncio.sleep(poll_s)


class Process:
    """One process of ours. It leads a session, by which its children are found.

    Attributes:
        role: what it does; `up` does everything.
        port: of the public API; 0 where it has none.
        log: what it said, over all of its lives.
    """

    def __init__(self, role: Role, environment: Mapping[str, str], log: Path) -> None:
        self.role = role
        self.port = int(environment.get("TALLY_PORT", "0"))
        self.log = log
        self._environment = environment
        self._popen: subprocess.Popen[bytes] | None = None

    def setting(self, name: str) -> str:
        """Return what it was told, without the `TALLY_`; empty: nothing."""
        return self._environment.get(f"TALLY_{name}", "")

    @property
    def pid(self) -> int:
        """Of the life that goes on."""
        assert self._popen is not None
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it runs, stopped or not."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start it, again if need be."""
        assert not self.alive, f"{self.role} runs already"
        module = {"broker": ["broker"], "up": ["tally.cli", "up"]}
        command = [sys.executable, "-m", *module.get(self.role, ["model_api", "--role", self.role])]
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """Ask it to end with SIGTERM; return its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s: float = GONE_S) -> int:
        """Return its exit code once it has ended."""
        assert self._popen is not None
        return self._popen.wait(timeout_s)

    def pause(self) -> None:
        """Stop it with SIGSTOP: it holds its sockets and leases and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on, as if no time had passed for it."""
        os.kill(self.pid, signal.SIGCONT)

    def children(self) -> list[int]:
        """Return the processes that compute for it, the oldest first."""
        return sorted(
            pid
            for pid, session in _sessions()
            if session == self.pid and pid != self.pid and _computes(pid)
        )

    @contextlib.asynccontextmanager
    async def holding(self) -> AsyncIterator[None]:
        """Keep whatever it computes from going on: its fits stay RUNNING, with a live heartbeat.

        Every child is stopped as it appears, long before it has imported what a fit needs.
        """
        held: set[int] = set()

        async def hold() -> None:
            while True:
                for pid in set(self.children()) - held:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)
                        held.add(pid)
                await asyncio.sleep(_POLL_S / 2)

        async def holds_one() -> bool:
            return bool(held)

        task = asyncio.create_task(hold())
        try:
            await until(holds_one, "a child to hold")
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for pid in held:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def session_is_gone(self) -> bool:
        """Tell whether neither it nor a child of it is left."""
        return not any(session == self.pid for _, session in _sessions())

    def said(self, event: str) -> int:
        """Return how often it logged an event."""
        return self.log.read_text().count(f'"event": "{event}"')


def _sessions() -> Iterator[tuple[int, int]]:
    """Yield pid and session of every process but the dead that nobody has waited for."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = Path("/proc", entry, "stat").read_text()
            # The name, in parentheses, may hold anything.
            state, _, _, session = stat.rpartition(")")[2].split()[:4]
            if state not in "ZX":
                yield int(entry), int(session)


def _computes(pid: int) -> bool:
    try:
        return b"model_api.fit_child" in Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return False
