"""Brokers, workers and fit workers, each a process of its own, as one service."""

from __future__ import annotations

import io
import json
import math
import os
import random
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from tally.forecast.families import DEFAULT
from tally.settings import Settings
from tests.system.process import DEADLINE_S, GONE_S, Process, Role, until

if TYPE_CHECKING:
    from tests.conftest import Server

ENDED = ("SERVED", "SUPERSEDED", "REJECTED", "FAILED", "CANCELLED")

_PORTS = range(20_000, 32_000)  # below the ports that the system gives to outgoing connections
_QUICK: Mapping[str, str] = {
    "LEASE_TTL_S": "2",
    "CLAIM_TTL_S": "2",
    "RECONCILE_EVERY_S": "0.3",
    "TIDY_EVERY_S": "0.3",
    "ANNOUNCE_EVERY_S": "1",
}


def wave(level: float = 0.0, values: int = 240, period: int = 12) -> list[float]:
    """Return a short series; its forecasts stay near `level`, so that they tell whose they are."""
    jitter = random.Random(level)  # a fixed one, so that the same level is the same request
    return [
        level + math.sin(2 * math.pi * i / period) + jitter.gauss(0, 0.1) for i in range(values)
    ]


def settings_of(*servers: Server) -> dict[str, str]:
    """Return the settings of a cluster that uses these servers, embedded backends beside them."""
    return {
        name.removeprefix("TALLY_"): value
        for server in servers
        for name, value in server.env.items()
    }


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nothing listens on, and that no outgoing connection will take."""
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def version(self) -> int:
        """The version that made a forecast."""
        return int(self.headers["X-Model-Version"])

    def __str__(self) -> str:
        return f"{self.status} {self.body[:300].decode(errors='replace')}"


class Cluster:
    """A whole service over one set of backends. Use it as a context; nothing outlives it.

    Args:
        folder: of the embedded backends' files and of the logs.
        settings: for every process, without the `TALLY_`; those of servers pick other backends.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.processes: list[Process] = []
        self._settings = {**_QUICK, "DATA_DIR": str(self.data), **(settings or {})}
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, force_close=False)
        timeout = aiohttp.ClientTimeout(total=90)
        self._client = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._client is not None
        await self._client.close()
        for process in self.processes:
            process.kill()
            # pytest shows it if the test failed.
            print(f"--- {process.log.name}\n{process.log.read_text()[-3000:]}")

        async def gone() -> bool:
            return all(process.session_is_gone() for process in self.processes)

        await until(gone, "no process is left behind", GONE_S)
        for process in self.processes:
            for line in process.log.read_text().splitlines():
                assert "Traceback (most recent call last)" not in line, line[-2000:]

    def settings(self) -> Settings:
        """Return the settings that all processes share, for a test that opens their backends."""
        told = {name.lower(): value for name, value in self._settings.items()}
        return Settings.model_validate(told)

    # Processes

    def broker(self, **settings: str) -> Process:
        """Start a broker."""
        return self._start("broker", PORT=str(free_port()), **settings)

    def everything(self, **settings: str) -> Process:
        """Start `tally up`: the whole service in one process."""
        return self._start("up", PORT=str(free_port()), **settings)

    def worker(self, **settings: str) -> Process:
        """Start a forecast worker."""
        return self._start("serve", **settings)

    def fitter(self, **settings: str) -> Process:
        """Start a fit worker."""
        return self._start("fit", **settings)

    async def start(self, *, brokers: int = 1, workers: int = 1, fitters: int = 1) -> None:
        """Start so many of each, and return once all are known to all brokers."""
        for _ in range(brokers):
            self.broker()
        for _ in range(workers):
            self.worker()
        for _ in range(fitters):
            self.fitter()
        await self.ready()

    async def ready(self, deadline_s: float = DEADLINE_S) -> None:
        """Return once every broker that is alive says so and knows all that are alive."""
        for broker in self.alive("broker", "up"):

            async def complete(broker: Process = broker) -> bool:
                assert broker.alive, broker.log.read_text()[-2000:]
                return await self._complete(broker)

            await until(complete, f"{broker.log.name} is ready", deadline_s)

    async def answers(self) -> None:
        """Return once the first broker answers, whatever it knows."""

        async def there() -> bool:
            try:
                return (await self.call("GET", "/health")).status == 200
            except aiohttp.ClientError:
                return False

        await until(there, "a broker answers")

    def alive(self, *roles: Role) -> list[Process]:
        """Return the processes of these roles that run."""
        return [p for p in self.processes if p.role in roles and p.alive]

    def _start(self, role: Role, **settings: str) -> Process:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TALLY_")}
        # Without byte code each of the many processes would compile everything again.
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        told = {f"TALLY_{k}": v for k, v in {**self._settings, **settings}.items()}
        count = sum(p.role == role for p in self.processes)
        log = self.folder / f"{role}{count + 1}.log"
        process = Process(role, {**kept, "OMP_NUM_THREADS": "1", **told}, log)
        self.processes.append(process)
        process.start()
        return process

    async def degraded(self, part: str) -> None:
        """Return once `/ready` says that a part is degraded, and that the rest goes on."""

        async def there() -> bool:
            ready = await self.call("GET", "/ready")
            return ready.status == 200 and part in ready.json["degraded"]

        await until(there, f"/ready names {part}")

    async def _complete(self, broker: Process) -> bool:
        try:
            ready = await self.call("GET", "/ready", broker=broker)
            metrics = (await self.call("GET", "/metrics", broker=broker)).body.decode()
        except aiohttp.ClientError:
            return False
        known = [
            re.search(rf"^{name} (\d+)", metrics, re.MULTILINE)
            for name in ("tally_workers", "tally_fit_workers")
        ]
        counts = [int(float(match[1])) if match else 0 for match in known]
        wanted = [len(self.alive("serve", "up")), len(self.alive("fit", "up"))]
        absent = {
            part
            for part, count in zip(("workers", "fit_workers"), wanted, strict=True)
            if not count
        }
        return counts == wanted and set(ready.json["degraded"]) == absent

    # Calls

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        broker: Process | None = None,
    ) -> Reply:
        """Return the answer of a broker, the first one unless told."""
        assert self._client is not None
        port = (broker or self.alive("broker", "up")[0]).port
        content = None if data is None else io.BytesIO(data)
        async with self._client.request(
            method, f"http://127.0.0.1:{port}{path}", json=json, data=content, headers=headers
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def fit(
        self,
        level: float = 0.0,
        model: str = "default",
        *,
        wait: bool = True,
        key: str = "",
        broker: Process | None = None,
        **body: object,
    ) -> Reply:
        """Ask for a fit of `wave(level)`, unless `data` is given."""
        sent = {"data": wave(level), "period": 12, "algorithm": DEFAULT, **body}
        path = f"/api/models/{model}/fit{'' if wait else '?async=true'}"
        headers = {"Idempotency-Key": key} if key else {}
        return await self.call("POST", path, json=sent, headers=headers, broker=broker)

    async def version(self, level: float = 0.0, model: str = "default") -> int:
        """Fit, and return the version made and served."""
        made = await self.fit(level, model)
        assert made.status == 201, str(made)
        return int(made.json["version"])

    async def begin(self, level: float = 0.0, model: str = "default", **body: Any) -> str:
        """Ask for a fit without waiting for it; return its id."""
        accepted = await self.fit(level, model, wait=False, **body)
        assert accepted.status == 202, str(accepted)
        return str(accepted.json["fit"])

    async def forecast(
        self,
        steps: int = 3,
        model: str = "default",
        query: str = "",
        broker: Process | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the answer to a forecast."""
        path = f"/api/models/{model}/forecast/{steps}{query}"
        return await self.call("GET", path, broker=broker, headers=headers)

    async def told(self, fit: str) -> Any:
        """Return how a fit stands."""
        reply = await self.call("GET", f"/api/fits/{fit}")
        assert reply.status == 200, str(reply)
        return reply.json

    async def state(self, fit: str, *states: str, deadline_s: float = DEADLINE_S) -> Any:
        """Return a fit once it is in one of these states, by default in any that ends it."""

        async def there() -> Any:
            told = await self.told(fit)
            return told if told["state"] in (states or ENDED) else None

        return await until(there, f"fit {fit} is {states or ENDED}", deadline_s)

    async def model(self, name: str = "default") -> Any:
        """Return what is told of a model."""
        reply = await self.call("GET", f"/api/models/{name}")
        assert reply.status == 200, str(reply)
        return reply.json

    async def versions(self, name: str = "default") -> list[Any]:
        """Return the versions of a model, oldest first."""
        reply = await self.call("GET", f"/api/models/{name}/versions")
        assert reply.status == 200, str(reply)
        return list(reversed(reply.json["versions"]))

    async def serving(self, version: int, model: str = "default", **more: Any) -> Reply:
        """Return a forecast once it comes from this version."""

        async def there() -> Reply | None:
            reply = await self.forecast(model=model, **more)
            return reply if reply.status == 200 and reply.version == version else None

        return await until(there, f"version {version} is served")
