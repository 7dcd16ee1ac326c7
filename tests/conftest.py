"""Real servers for every test: `etcd_server`, `nats_server`, `cql_server`, `moto_server`.

These four are shared by the whole run: use names of your own in them (a prefix, a keyspace, a
bucket). `private_etcd`, `private_nats` and `private_cql` belong to one test, which may kill and
empty them. `start_server` gives any other kind, by TLS, authentication or number of nodes.

A test that uses one bears the marker `etcd`, `nats`, `cql` or `s3` by itself. Where a server
cannot be had the test is skipped, or fails if `TALLY_REQUIRE_SERVERS=1`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import hypothesis
import pytest

hypothesis.settings.register_profile("tally", deadline=None)  # a machine may be busy
hypothesis.settings.load_profile("tally")

Name = Literal["etcd", "nats", "cql", "s3"]

SCRIPT = Path(__file__).parent / "servers" / "servers.py"
PROGRAMS: Mapping[Name, str] = {"etcd": "etcd", "nats": "nats", "cql": "cassandra", "s3": "moto"}
MARKERS: Mapping[str, Name] = {
    "etcd_server": "etcd",
    "nats_server": "nats",
    "cql_server": "cql",
    "moto_server": "s3",
    "private_etcd": "etcd",
    "private_nats": "nats",
    "private_cql": "cql",
}
MISSING_STATUS = 3


class Server:
    """One server, or several as a cluster, on loopback.

    Attributes:
        hosts: `address:port` of each node.
        url: as the setting of its kind wants it: `etcd://`, `etcds://`, `nats://`, `tls://`,
            `cql://` (without a keyspace), `http://` (S3).
        env: the settings by which a process of ours uses it.
        user, password: None where it lets everyone in.
        ca_file: of the authority behind its certificate; None without TLS.
        cert_file, key_file: of a client's certificate; None where it asks for none.
        logs: one file for each node.
    """

    def __init__(self, name: Name, folder: Path, options: Sequence[str]) -> None:
        self.name = name
        self._folder = folder
        self._options = options
        self.start()

    def start(self) -> None:
        """Start the nodes that are down, with their data and at their ports, and wait for them."""
        told = _call("start", PROGRAMS[self.name], "--dir", self._folder, *self._options)
        prefix = f"TALLY_TEST_{self.name.upper()}"
        values = {
            key.removeprefix(prefix): value
            for key, value in (line.split("=", 1) for line in told.splitlines())
        }
        self.hosts = tuple(host.rpartition("/")[2] for host in values[""].split(","))
        self.user = values.get("_USER")
        self.password = values.get("_PASSWORD")
        self.ca_file = _path(values.get("_CA"))
        self.cert_file = _path(values.get("_CERT"))
        self.key_file = _path(values.get("_KEY"))
        self.url = f"{self._scheme()}://{','.join(self.hosts)}"
        self.env = self._settings()

    def kill(self, node: int | None = None) -> None:
        """SIGKILL all nodes, or one, counted from 1."""
        self._end("--kill", node=node)

    def stop(self, node: int | None = None) -> None:
        """SIGTERM all nodes, or one, counted from 1; wait until they are gone."""
        self._end(node=node)

    def restart(self) -> None:
        """Kill all nodes and start them again with their data."""
        self.kill()
        self.start()

    def wipe_and_start(self) -> None:
        """Kill all nodes, and start them again at the same ports without their data."""
        self._end("--kill", "--empty")
        self.start()

    def pause(self, node: int | None = None) -> None:
        """Stop all nodes, or one, with SIGSTOP: connections stand, and nobody answers."""
        self._signal(signal.SIGSTOP, node)

    def resume(self, node: int | None = None) -> None:
        """Undo `pause`."""
        self._signal(signal.SIGCONT, node)

    @property
    def home(self) -> Path:
        """The folder with `node1/` (data), `node1.log`, the configuration and the certificates."""
        return self._folder / PROGRAMS[self.name]

    @property
    def logs(self) -> Sequence[Path]:
        """One file for each node."""
        return sorted(self.home.glob("node*.log"))

    def discard(self) -> None:
        """Kill all nodes and delete their data; the logs stay for whoever reads the failure."""
        self._end("--kill", "--empty")

    def _end(self, *options: str, node: int | None = None) -> None:
        one = () if node is None else ("--node", str(node))
        _call("stop", PROGRAMS[self.name], "--dir", self._folder, *options, *one)

    def _signal(self, number: signal.Signals, node: int | None) -> None:
        state = json.loads((self.home / "state.json").read_text())
        for i, each in enumerate(state["nodes"], 1):
            if node in (None, i):
                os.kill(each["pid"], number)
                if number == signal.SIGSTOP:
                    _wait_stopped(each["pid"])

    def _scheme(self) -> str:
        plain, secure = {
            "etcd": ("etcd", "etcds"),
            "nats": ("nats", "tls"),
            "cql": ("cql", "cql"),
            "s3": ("http", "https"),
        }[self.name]
        return secure if self.ca_file else plain

    def _settings(self) -> Mapping[str, str]:
        if self.name == "s3":
            return {
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        kind = {"etcd": "COORDINATION", "nats": "QUEUE", "cql": "STORE"}[self.name]
        found: Mapping[str, object] = {
            "URL": f"{self.url}/tally" if self.name == "cql" else self.url,
            "USER": self.user,
            "PASSWORD": self.password,
            "CA": self.ca_file,
            "CERT": self.cert_file,
            "KEY": self.key_file,
        }
        return {f"TALLY_{kind}_{key}": str(value) for key, value in found.items() if value}


class StartServer(Protocol):
    """Starts a server of the test's own."""

    def __call__(
        self,
        name: Name,
        *,
        tls: bool = False,
        mtls: bool = False,
        auth: bool = False,
        nodes: int = 1,
        extra: Sequence[str] = (),
    ) -> Server:
        """Return it once it is ready; it ends with the test.

        Args:
            name: its kind.
            tls: the server shows a certificate of a throwaway authority.
            mtls: and so must every client.
            auth: it asks for `Server.user` and `Server.password`.
            nodes: of one cluster, at 127.0.0.1, 127.0.0.2, and so on.
            extra: lines for its configuration (etcd: arguments).
        """
        ...


def _wait_stopped(pid: int) -> None:
    """Wait until all threads of a process stand: the signal returns before it has acted."""
    deadline = time.monotonic() + 10
    while any(
        thread.read_text().rpartition(")")[2].split()[0] != "T"
        for thread in Path(f"/proc/{pid}/task").glob("*/stat")
    ):
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        time.sleep(0.005)


def _path(value: str | None) -> Path | None:
    return Path(value) if value else None


def _call(*command: object) -> str:
    line = [sys.executable, str(SCRIPT), *map(str, command)]
    # Longer than the script's own deadlines, which say more about the cause.
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"servers.py {' '.join(line[2:4])}: {done.stderr.strip()}")
    return done.stdout


@functools.cache
def _why_missing(program: str) -> str | None:
    """Install a server's program if need be; return why that cannot be done, None if it can."""
    line = [sys.executable, str(SCRIPT), "install", program]
    done = subprocess.run(line, capture_output=True, text=True, timeout=600)
    if done.returncode not in (0, MISSING_STATUS):
        raise RuntimeError(done.stderr)
    return done.stderr.strip() if done.returncode else None


def _start(name: Name, folder: Path, *options: str) -> Server:
    if reason := _why_missing(PROGRAMS[name]):
        if os.environ.get("TALLY_REQUIRE_SERVERS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason.splitlines()[-1])
    if name == "cql":
        options = ("--heap", "256m", *options)
    return Server(name, folder, options)


@contextlib.contextmanager
def _running(name: Name, folder: Path) -> Iterator[Server]:
    server = _start(name, folder)
    try:
        yield server
    finally:
        server.discard()


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the shared servers, and see to it that no server outlives the run.

    The watcher ends every cluster under pytest's temporary folder, also if we are killed.
    """
    watched = str(tmp_path_factory.getbasetemp())
    command = [sys.executable, str(SCRIPT), "reap", "--owner", str(os.getpid()), "--dir", watched]
    # Not Popen: this child is meant to outlive us, which Popen warns of.
    os.posix_spawn(sys.executable, command, os.environ, setsid=True)
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def etcd_server(servers_folder: Path) -> Iterator[Server]:
    """Give the etcd that the whole run shares."""
    with _running("etcd", servers_folder / "shared") as server:
        yield server


@pytest.fixture(scope="session")
def nats_server(servers_folder: Path) -> Iterator[Server]:
    """Give the NATS server that the whole run shares."""
    with _running("nats", servers_folder / "shared") as server:
        yield server


@pytest.fixture(scope="session")
def cql_server(servers_folder: Path) -> Iterator[Server]:
    """Give the Cassandra that the whole run shares."""
    with _running("cql", servers_folder / "shared") as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(servers_folder: Path) -> Iterator[Server]:
    """Give the S3 stand-in that the whole run shares; it keeps everything in memory."""
    with _running("s3", servers_folder / "shared") as server:
        yield server


@pytest.fixture
def start_server(servers_folder: Path, tmp_path: Path) -> Iterator[StartServer]:
    """Give a function that starts servers of this test's own."""
    started: list[Server] = []

    def start(
        name: Name,
        *,
        tls: bool = False,
        mtls: bool = False,
        auth: bool = False,
        nodes: int = 1,
        extra: Sequence[str] = (),
    ) -> Server:
        flags = {"--tls": tls, "--mtls": mtls, "--auth": auth}
        options = [flag for flag, wanted in flags.items() if wanted]
        options += [f"--extra={line}" for line in extra]
        folder = tmp_path / f"server{len(started) + 1}"
        started.append(_start(name, folder, f"--nodes={nodes}", *options))
        return started[-1]

    yield start
    for server in started:
        server.discard()


@pytest.fixture
def private_etcd(start_server: StartServer) -> Server:
    """Give an etcd that this test may kill and empty."""
    return start_server("etcd")


@pytest.fixture
def private_nats(start_server: StartServer) -> Server:
    """Give a NATS server that this test may kill and empty."""
    return start_server("nats")


@pytest.fixture
def private_cql(start_server: StartServer) -> Server:
    """Give a Cassandra that this test may kill and empty."""
    return start_server("cql")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark each test by the servers that it uses, so that `-m "not cql"` leaves those out.

    They are told by its fixtures, by a parameter that names one, or by the folder that it is in.
    """
    for item in items:
        used = {MARKERS[name] for name in getattr(item, "fixturenames", ()) if name in MARKERS}
        call = getattr(item, "callspec", None)
        words = {
            *os.path.relpath(item.path, item.config.rootpath).split(os.sep),
            *(map(str, call.params.values()) if call else ()),
        }
        used |= {name for name in PROGRAMS if name in words}
        for name in used:
            item.add_marker(name)
