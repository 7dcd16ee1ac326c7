from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from broker.settings import BrokerSettings
from model_api.settings import WorkerSettings
from tests.deploy.stack import (
    COMPOSE_FILE,
    ROOT,
    compose,
    environment,
    image_environment,
    ours,
    services,
)

SECRETS = re.compile(r"TALLY_\w*(TOKEN|TOKENS|PASSWORD|SECRET|KEY)")


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of the environment that runs the tests."""
    command = [str(Path(sys.executable).with_name(tool)), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def settings_of(service: Mapping[str, Any]) -> type[BaseSettings]:
    return BrokerSettings if service["build"]["target"] == "broker" else WorkerSettings


def test_the_file_is_valid_by_the_compose_specification() -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE))
    assert done.returncode == 0, done.stdout


def test_it_runs_one_broker_two_workers_one_fit_worker_and_three_servers() -> None:
    commands = [service["command"][:2] for service in ours().values()]
    assert sorted(commands) == [
        ["tally", "broker"],
        ["tally", "fit-worker"],
        ["tally", "worker"],
        ["tally", "worker"],
    ]
    assert services().keys() - ours().keys() == {"etcd", "scylla", "nats"}


def test_every_variable_is_a_setting_of_the_process_that_gets_it() -> None:
    unknown = {
        f"{name}: {variable}"
        for name, service in ours().items()
        for variable in environment(service)
        if variable.removeprefix("TALLY_").lower() not in settings_of(service).model_fields
    }
    assert not unknown


def test_every_process_accepts_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ours().values():
        with monkeypatch.context() as patched:
            for name, value in environment(service).items():
                patched.setenv(name, value)
            settings_of(service)()


def test_no_secret_is_in_the_file() -> None:
    for service in ours().values():
        for variable, value in environment(service).items():
            assert not SECRETS.fullmatch(variable), variable
            assert not re.search(r"//[^/]*@", str(value)), variable
    assert "secrets" not in compose()


def test_every_image_is_pinned_by_a_tag_that_names_a_version() -> None:
    for name, service in services().items():
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), name


def test_every_service_has_a_health_check_that_its_dependents_wait_for() -> None:
    for name, service in services().items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name
    for name, service in ours().items():
        waits = {k: v["condition"] for k, v in service["depends_on"].items()}
        assert waits == dict.fromkeys(("etcd", "scylla", "nats"), "service_healthy"), name


def test_the_health_check_asks_the_port_that_the_process_listens_on() -> None:
    for name, service in ours().items():
        *_, kind, port = service["healthcheck"]["test"]
        variable = "TALLY_PORT" if name == "broker" else "TALLY_WORKER_PORT"
        if name != "fit-worker":
            assert (kind, port) == ("http", environment(service)[variable]), name


def test_what_must_last_is_in_a_named_volume() -> None:
    named = set(compose()["volumes"])
    mounts = {name: service["volumes"][0].split(":") for name, service in services().items()}
    assert {name: folder for name, (_, folder) in mounts.items() if name not in ours()} == {
        "etcd": "/var/lib/etcd",
        "scylla": "/var/lib/scylla",
        "nats": "/data",
    }
    used = {v.split(":")[0] for service in services().values() for v in service["volumes"]}
    assert used - {"./deploy/nats.conf"} == named
    assert f"--data-dir={mounts['etcd'][1]}" in services()["etcd"]["command"]
    assert f"store_dir: {mounts['nats'][1]}" in (ROOT / "deploy" / "nats.conf").read_text()


def test_our_processes_share_the_volume_of_the_internal_token() -> None:
    for name, service in ours().items():
        volume, folder = service["volumes"][0].split(":")
        assert volume == "token", name
        assert Path(environment(service)["TALLY_INTERNAL_TOKEN_FILE"]).parent == Path(folder), name
        # The volume takes its owner from the folder in the image.
        assert image_environment(service["build"]["target"])["TALLY_DATA_DIR"] == folder, name


def test_the_master_key_is_in_a_volume_that_the_broker_writes_and_workers_read() -> None:
    mounted = {
        name: volume.removeprefix("keys:")
        for name, one in services().items()
        for volume in one["volumes"]
        if volume.startswith("keys:")
    }
    broker = services()["broker"]
    read_only = f"{mounted['broker']}:ro"
    assert mounted.keys() == {"broker", "worker-1", "worker-2"}
    for name in ("worker-1", "worker-2"):
        assert mounted[name] == read_only
        key = environment(services()[name])["TALLY_MASTER_KEY_FILE"]
        assert key == environment(broker)["TALLY_MASTER_KEY_FILE"]
    folder = broker["volumes"][1].removeprefix("keys:")
    assert Path(environment(broker)["TALLY_MASTER_KEY_FILE"]).parent == Path(folder)
    # The volume takes its owner from the folder in the image.
    made = (ROOT / "deploy" / "Dockerfile").read_text().partition("install --directory")[2]
    assert folder in made.partition("\nENV")[0].split()


def test_only_loopback_reaches_the_stack() -> None:
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert ports == ["127.0.0.1:5000:5000"]


def test_each_worker_has_an_address_of_its_own() -> None:
    workers = {n: s for n, s in ours().items() if s["command"] == ["tally", "worker"]}
    advertised = {name: environment(s)["TALLY_ADVERTISE_HOST"] for name, s in workers.items()}
    assert advertised == {name: name for name in workers}


def test_acknowledged_writes_are_on_disk() -> None:
    assert "--commitlog-sync=batch" in services()["scylla"]["command"]
    assert "sync_interval: always" in (ROOT / "deploy" / "nats.conf").read_text()


def test_files_that_are_mounted_exist() -> None:
    for service in services().values():
        for volume in service["volumes"]:
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).is_file(), volume


def test_pre_commit_fetches_nothing() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (.*)", text) == ["local"]


def test_the_constraints_name_no_registry() -> None:
    lines = (ROOT / "requirements" / "constraints.txt").read_text().splitlines()
    odd = [line for line in lines if not re.fullmatch(r"[a-z0-9_.-]+==\S+( ; .+)?", line)]
    assert not odd


def test_the_changelog_can_be_compiled() -> None:
    done = run("towncrier", "build", "--draft", "--version=9.9.9")
    assert done.returncode == 0, done.stderr
    assert "## 9.9.9" in done.stdout
