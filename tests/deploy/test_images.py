from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.stack import DOCKERFILE, ROOT, ours, stages

TOOLS = Path(sys.executable).parent
SCRIPTS = ["build_broker.sh", "build_model_api.sh", "tools/install", ".ci/run"]
IMAGES = ["broker", "model_api"]


def run(*command: object) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing_in(script: str) -> None:
    run(TOOLS / "shellcheck", "--enable=check-unassigned-uppercase", script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_person_can_start(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111, "not executable"
    assert re.search(r"^set -eu", path.read_text(), re.MULTILINE), "goes on after an error"


def test_hadolint_finds_nothing() -> None:
    run(TOOLS / "hadolint", "--failure-threshold", "style", DOCKERFILE)


def test_every_stage_stands_on_one_pinned_python() -> None:
    bases = {i.text.split()[0] for stage in stages().values() for i in stage if i.name == "FROM"}
    (python,) = bases - stages().keys()
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", python)


@pytest.mark.parametrize("image", IMAGES)
def test_the_image_runs_as_a_plain_user(image: str) -> None:
    users = [i.text for i in stages()[image] if i.name == "USER"]
    assert users == ["10001:10001"]


@pytest.mark.parametrize("image", IMAGES)
def test_the_image_has_a_health_check_and_starts_without_a_shell(image: str) -> None:
    last = {i.name: i.text for i in stages()[image]}
    assert json.loads(last["CMD"])[0] == "tally"
    assert json.loads(last["HEALTHCHECK"].partition("CMD ")[2])[:3] == [
        "python",
        "-m",
        "tally.healthcheck",
    ]


@pytest.mark.parametrize("image", IMAGES)
def test_the_build_script_builds_the_image_that_the_compose_file_runs(image: str) -> None:
    text = (ROOT / f"build_{image}.sh").read_text()
    for service in ours().values():
        build = service["build"]
        if build["target"] == image:
            assert f"--file {build['dockerfile']} --target {image} " in text
            assert f":-{service['image']}}}" in text


def test_what_the_image_copies_is_in_the_build_context() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    copied = [
        source
        for instruction in stages()["build"]
        if instruction.name == "COPY"
        for source in instruction.text.split()[:-1]
    ]
    assert "*" in lines
    assert sorted(copied) == sorted(kept)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert not fnmatch.fnmatch(source, ".*"), source


def test_the_broker_starts_without_what_its_image_leaves_out() -> None:
    (line,) = [i.text for i in stages()["build_broker"] if " uninstall --yes mmh3" in i.text]
    left_out = line.partition("--yes ")[2].split()
    assert "numpy" in left_out
    block = f"import sys; sys.modules.update(dict.fromkeys({left_out}))"
    start = "import broker.__main__, tally.healthcheck; from tally.cli.__main__ import main; main()"
    run(sys.executable, "-c", f"{block}; sys.argv = ['tally', 'broker', '--help']; {start}")
    for backend in ("store.cql", "store.s3", "coordination.etcd", "fitqueue.jetstream"):
        run(sys.executable, "-c", f"{block}; import tally.{backend}")
