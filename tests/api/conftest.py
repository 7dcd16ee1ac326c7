"""The whole service in this process: a broker, a worker and a fit worker, on one event loop."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.settings import BrokerSettings
from broker.wiring import Broker
from model_api.settings import WorkerSettings
from model_api.wiring import FitWorker, Worker

SEASON = [10.0, 12.0, 15.0, 11.0]


def _shared(folder: Path) -> dict[str, Any]:
    return {"data_dir": folder, "log_level": "error", "lease_ttl_s": 5.0}


class Service:
    """Runs in a thread, so that blocking clients may call it. Use it with `with`.

    Attributes:
        url: of the broker.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._broker = Broker(BrokerSettings(port=0, **(_shared(folder) | settings)))
        worker = WorkerSettings(**_shared(folder))
        self._worker, self._fit_worker = Worker(worker), FitWorker(worker)
        self._thread = threading.Thread(target=self._run_loop)
        self._listening = threading.Event()
        self._error: BaseException | None = None
        self.url = ""

    def __enter__(self) -> Service:
        self._thread.start()
        assert self._listening.wait(30), "the service does not start"
        if self._error is not None:
            raise self._error
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        if self._error is not None:
            raise self._error

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._error = error
            self._listening.set()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._broker.run(self._ready)),
                group.create_task(self._worker.run()),
                group.create_task(self._fit_worker.run()),
            ]
            await self._stop.wait()
            for task in tasks:
                task.cancel()

    def _ready(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._listening.set()

    def fit(self, path: str, data: list[float]) -> None:
        body = json.dumps({"data": data, "start": "2024-01-01", "frequency": "D"}).encode()
        with urllib.request.urlopen(f"{self.url}{path}", body, timeout=60) as answer:
            assert answer.status == 201, answer.read()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service that serves the default model and one named `shop`."""
    folder = tmp_path_factory.mktemp("service")
    with Service(folder, forecast_wait_s=0.3, max_steps=3000) as running:
        running.fit("/api/fit_model", SEASON * 10)
        running.fit("/api/models/shop/fit", SEASON * 12)
        yield running
