"""docs/compatibility.md tells the table of routes that the broker has, line by line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broker.edge.symetry.paths import find
from broker.edge.symetry.routes import ROUTES, Action, Route, Runs
from broker.edge.symetry.socket import SOCKETS

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"

_ANSWERS = {
    Runs.AT_ONCE: "{code}",
    Runs.AT_ONCE_OR_JOB: "{code}; 202 with `async=true`",
    Runs.JOB_OR_AT_ONCE: "202; {code} with `async=false`",
    Runs.JOB: "202",
}
_CREATED = (Action.CREATE, Action.RENAME, Action.FUSION_CREATE)


def answers(route: Route) -> str:
    """Return what the page says of how a route answers."""
    if route.action in (Action.JOB, Action.CANCEL):
        return "200, 202"
    return _ANSWERS[route.runs].format(code=201 if route.action in _CREATED else 200)


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table under a title."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines[1:]]


def codes(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def test_every_route_has_its_line_and_every_line_its_route() -> None:
    told = [
        (method, *codes(path), answer, codes(e))
        for method, path, answer, e, _ in rows("What is there")
    ]
    assert told == [(r.method, r.path, answers(r), r.entities) for r in ROUTES]


@pytest.mark.parametrize("line", rows("What is not there"), ids=lambda line: line[0])
def test_what_is_not_there_is_not_found(line: list[str]) -> None:
    paths = codes(line[0])
    assert paths
    for path in paths:
        found = find(f"/symetry/rest/c1/{path}".replace("{", "").replace("}", "").encode())
        assert not found.routes, path


def test_every_socket_is_told_of() -> None:
    assert set(SOCKETS) <= set(codes(PAGE.read_text()))
    assert "/symetry/ws/learn" in SOCKETS
