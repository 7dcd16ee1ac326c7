"""The servers that every other test leans on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Name, Server, StartServer


def answers(server: Server) -> bool:
    host, _, port = server.hosts[0].partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("name", ["etcd", "nats", "cql"])
def test_a_killed_server_comes_back_at_its_address_with_its_files_or_on_demand_without(
    start_server: StartServer, name: Name
) -> None:
    server = start_server(name)
    before = server.hosts
    kept = server.home / "node1" / "kept"
    kept.touch()
    server.kill()
    assert not answers(server)
    server.start()
    assert answers(server)
    assert kept.exists()
    server.wipe_and_start()
    assert answers(server)
    assert not kept.exists()
    assert server.hosts == before


@pytest.mark.parametrize("name", ["etcd", "nats", "cql"])
def test_a_server_with_certificates_and_passwords_says_what_a_client_needs(
    start_server: StartServer, name: Name
) -> None:
    server = start_server(name, mtls=True, auth=True)
    assert server.user
    assert server.password
    assert all(path and path.exists() for path in (server.ca_file, server.cert_file))
    server.wipe_and_start()
    assert answers(server)


def test_three_nodes_make_one_cluster(start_server: StartServer) -> None:
    server = start_server("etcd", nodes=3)
    assert [host.partition(":")[0] for host in server.hosts] == [
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.3",
    ]
    server.kill(node=1)
    assert not answers(server)


def test_s3_is_served_by_a_process_of_its_own(moto_server: Server) -> None:
    with urllib.request.urlopen(moto_server.url + "/moto-api/", timeout=10) as answer:
        assert answer.status == 200


def run_inner(folder: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a test of its own, in a run of its own that has our fixtures."""
    inner = folder / "test_inner.py"
    inner.write_text(code)
    command = [sys.executable, "-m", "pytest", "-s", "-rs", "-p", "conftest", str(inner)]
    return subprocess.run(
        [*command, f"--basetemp={folder}/base", f"--rootdir={folder}", "-c", os.devnull],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_servers_do_not_outlive_a_killed_run(tmp_path: Path) -> None:
    done = run_inner(
        tmp_path,
        "import os, signal\n"
        "def test(nats_server):\n"
        "    print(nats_server.hosts[0], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n",
    )
    assert done.returncode == -signal.SIGKILL, done.stdout
    address = next(word for word in done.stdout.split() if word.startswith("127.0.0.1:"))
    port = int(address.partition(":")[2])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail("the NATS server lives on")


@pytest.mark.parametrize("required", ["0", "1"])
def test_a_server_that_cannot_be_had_is_a_skip_or_a_failure_and_says_how_to_get_it(
    tmp_path: Path, required: str
) -> None:
    done = run_inner(
        tmp_path,
        "def test(cql_server): pass\n",
        JAVA_HOME=str(tmp_path),
        TALLY_REQUIRE_SERVERS=required,
    )
    assert "there is no java; it needs a Java 17 runtime and Maven: apt-get" in done.stdout
    assert ("1 error" if required == "1" else "1 skipped") in done.stdout


def test_tests_are_marked_by_the_servers_that_they_use(tmp_path: Path) -> None:
    code = (
        "import pytest\n"
        "def test_plain(): pass\n"
        "def test_fixture(nats_server): pass\n"
        "@pytest.mark.parametrize('backend', ['embedded', 'cql'])\n"
        "def test_parameter(backend): pass\n"
    )
    done = run_inner(tmp_path, code, PYTEST_ADDOPTS="--collect-only -q -m 'not nats and not cql'")
    assert "2/4 tests collected" in done.stdout
    assert "test_parameter[embedded]" in done.stdout
