"""One broker, one worker and one fit worker in this process, over embedded backends."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp

from broker.settings import BrokerSettings
from broker.wiring import Broker
from model_api.settings import WorkerSettings
from model_api.wiring import FitWorker, Worker

DEADLINE_S = 30.0


class Service:
    """The parts that run, each stopped by itself.

    Attributes:
        folder: of the embedded backends.
        url: of the broker.
        client: for asking it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.url = ""
        self.client = aiohttp.ClientSession()

    async def broker(self, **settings: object) -> None:
        """Start the broker, and return once it listens."""
        opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        given = {"port": 0, "data_dir": self.folder, "lease_ttl_s": 2.0} | settings
        made = Broker(BrokerSettings.model_validate(given))
        task = self._start("broker", made.run(opened.set_result))
        waited: set[asyncio.Future[Any]] = {opened, task}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            self._tasks.pop("broker").result()
        self.url = f"http://127.0.0.1:{opened.result()}"

    async def workers(self, **more: object) -> None:
        """Start a worker and a fit worker, and return once the broker knows them."""
        given = {"data_dir": self.folder, "lease_ttl_s": 2.0, "reconcile_every_s": 0.2, **more}
        settings = WorkerSettings.model_validate(given)
        self._start("worker", Worker(settings).run())
        self._start("fit", FitWorker(settings).run())
        await self.until(self.ready)

    async def another_worker(self, **more: object) -> None:
        """Start one more worker, and return once the broker knows it."""
        settings = WorkerSettings.model_validate({"data_dir": self.folder, **more})
        known = await self._workers_known()
        self._start(f"worker{known + 1}", Worker(settings).run())

        async def there() -> bool:
            return await self._workers_known() == known + 1

        await self.until(there)

    async def _workers_known(self) -> int:
        async with self.client.get(f"{self.url}/metrics") as response:
            found = re.search(r"^tally_workers (\d+)", await response.text(), re.MULTILINE)
            return int(found[1]) if found else 0

    async def ready(self) -> bool:
        """Tell whether nothing is degraded."""
        async with self.client.get(f"{self.url}/ready") as response:
            return bool((await response.json())["status"] == "ready")

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Return once an asynchronous condition holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not await condition():
                for task in self._tasks.values():
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)

    async def stop(self, name: str) -> None:
        """Stop a part as a signal would."""
        task = self._tasks.pop(name)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def close(self) -> None:
        """Stop everything."""
        await self.client.close()
        for name in list(self._tasks):
            await self.stop(name)

    def _start(self, name: str, run: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self._tasks[name] = asyncio.create_task(run)
        return self._tasks[name]
