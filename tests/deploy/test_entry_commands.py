"""The compose file's processes on this machine, against real servers.

No container is built. Each process runs the command and gets the environment that the compose
file gives it, and nothing else; only addresses differ: each container's is one of loopback's.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tally.healthcheck import http_alive
from tests.deploy.stack import ROOT, environment, image_environment, ours

if TYPE_CHECKING:
    from tests.conftest import Server

START_S = 60.0  # start_period of the health checks
STOP_S = 30.0  # stop_grace_period
TOOLS = Path(sys.executable).parent


class Container:
    """One service of the compose file as a process on this machine."""

    def __init__(self, name: str, network: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.address = network.get(name, "")
        self.service = ours()[name]
        self._environment = self._translated(network, folder)
        self.log = folder / f"{name}.log"
        command = self.service["command"]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [TOOLS / command[0], *command[1:]],
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def why_unhealthy(self) -> str:
        """Return what its health check says, empty if it is well."""
        assert self.process.poll() is None, f"{self.name} ended: {self.log.read_text()}"
        *command, kind = self.service["healthcheck"]["test"][1:]
        if kind != "fit-worker":
            return http_alive(int(kind), self.address)
        command[0] = sys.executable
        checked = subprocess.run(
            [*command, kind], env=self._environment, capture_output=True, text=True, timeout=30
        )
        return checked.stderr if checked.returncode else ""

    def stop(self) -> int:
        """End it as `docker stop` does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def _translated(self, network: Mapping[str, str], folder: Path) -> dict[str, str]:
        image = image_environment(self.service["build"]["target"])
        given = {"PATH": f"{TOOLS}:{os.defpath}"}
        for name, value in environment(self.service).items():
            if value == "0.0.0.0":
                value = self.address
            value = value.replace(image["TALLY_DATA_DIR"], str(folder / "token"))
            for host in sorted(network, key=len, reverse=True):
                value = value.replace(host, network[host]) if _names(value, host) else value
            given[name] = value
        return given


def _names(value: str, host: str) -> bool:
    return value == host or f"//{host}" in value


@pytest.fixture
def stack(
    private_etcd: Server, private_nats: Server, private_cql: Server, tmp_path: Path
) -> Iterator[Mapping[str, Container]]:
    block = f"127.{random.randrange(2, 255)}.{random.randrange(256)}"
    network = {
        "etcd:2379": private_etcd.hosts[0],
        "scylla:9042": private_cql.hosts[0],
        "nats:4222": private_nats.hosts[0],
    }
    network |= {name: f"{block}.{i}" for i, name in enumerate(ours(), 1) if name != "fit-worker"}
    # All at once, as compose does: whoever is first makes the internal token.
    started = {name: Container(name, network, tmp_path) for name in ours()}
    try:
        yield started
    finally:
        for container in started.values():
            container.process.kill()
        for container in started.values():
            container.process.wait(STOP_S)


def wait_until_healthy(stack: Mapping[str, Container]) -> None:
    deadline = time.monotonic() + START_S
    for container in stack.values():
        while why := container.why_unhealthy():
            assert time.monotonic() < deadline, f"{container.name}: {why}"
            time.sleep(0.1)


def ask(stack: Mapping[str, Container], path: str, data: bytes | None = None) -> Any:
    url = f"http://{stack['broker'].address}:5000{path}"
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        pytest.fail(f"{url}: {error.code} {error.read().decode()}")


@pytest.mark.timeout(300)
def test_the_compose_file_s_processes_fit_and_forecast_and_end_when_told(
    stack: Mapping[str, Container],
) -> None:
    wait_until_healthy(stack)
    ask(stack, "/api/fit_model", (ROOT / "dataset_simple").read_bytes())
    assert len(ask(stack, "/api/forecast/500")["data"]) == 500

    stack["worker-1"].process.kill()
    assert len(ask(stack, "/api/forecast/499")["data"]) == 499

    left = [container for name, container in stack.items() if name != "worker-1"]
    assert {container.name: container.stop() for container in left} == {
        container.name: 0 for container in left
    }


@pytest.mark.timeout(300)
def test_the_health_check_notices_a_fit_worker_that_hangs(stack: Mapping[str, Container]) -> None:
    wait_until_healthy(stack)
    worker = stack["fit-worker"]
    worker.process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + START_S
    while not worker.why_unhealthy():
        assert time.monotonic() < deadline, "its lease outlives it"
        time.sleep(0.5)
