"""What docker-compose.yml and deploy/Dockerfile say, as data: a reader of the subset they use."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of the Dockerfile, lines joined."""

    name: str
    text: str


def compose() -> Mapping[str, Any]:
    """Return the compose file with its merges and aliases resolved."""
    loaded: Mapping[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
    return loaded


def services() -> Mapping[str, Mapping[str, Any]]:
    """Return the services of the compose file by name."""
    found: Mapping[str, Mapping[str, Any]] = compose()["services"]
    return found


def ours() -> Mapping[str, Mapping[str, Any]]:
    """Return the services whose images are built here."""
    return {name: service for name, service in services().items() if "build" in service}


def stages() -> Mapping[str, Sequence[Instruction]]:
    """Return what each stage consists of, the stage that it stands on first."""
    found: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for instruction in _instructions():
        if instruction.name == "FROM":
            base, _, name = instruction.text.split()
            current = found[name] = list(found.get(base, ()))
        current.append(instruction)
    return found


def image_environment(target: str) -> Mapping[str, str]:
    """Return what the ENV instructions of an image set."""
    pairs = (
        word.partition("=")
        for instruction in stages()[target]
        if instruction.name == "ENV"
        for word in shlex.split(instruction.text)
    )
    return {name: value for name, _, value in pairs}


def environment(service: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the settings that a service of ours starts with."""
    merged = {**image_environment(service["build"]["target"]), **service["environment"]}
    return {name: value for name, value in merged.items() if name.startswith("TALLY_")}


def _instructions() -> Iterator[Instruction]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield Instruction(name, rest)
