from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from tally.cli.__main__ import app
from tally.wire.fusion import (
    FusionCellInfo,
    FusionCellStatus,
    read_cells,
    seal_cells,
    seal_statuses,
)
from tally.wire.secret_key import SecretKey
from tests.unit.cli.conftest import account
from tests.unit.client.signed_broker import CID, KEY, Says, SignedBroker, project

Run = Callable[..., Result]

NORTH, SOUTH = SecretKey(bytes(16)), SecretKey(bytes(range(16, 32)))
GOOD = FusionCellStatus(host="local", cid="n", pid="a", status="OK", rows=20, version="1-1")
GONE = FusionCellStatus(
    host="https://s.example",
    cid="s",
    pid="a",
    status="UNREACHABLE: no connection",
    rows=30,
    version="1-1",
    age_ms=125_000,
)
TABLE = """\
50 rows; 1 of 2 cells answer
https://s.example/s/a cannot be reached (no connection); its 30 rows of 2 min ago count
cell                        status  rows    age
n/a                             OK    20    0 s
https://s.example/s/a  UNREACHABLE    30  2 min
"""


@pytest.fixture
def run(broker: SignedBroker, tmp_path: Path) -> Run:
    """Give a function that runs `tally fusion`; the key of the south is in a file."""
    (tmp_path / "south.key").write_text(f"{SOUTH.text}\n")

    def run_(*words: str, **env: str) -> Result:
        given = {**account(broker), "NORTH": NORTH.text}
        told = CliRunner().invoke(app, ["fusion", *words], env=given | env)
        for key in (KEY, NORTH, SOUTH):
            assert key.text not in told.output
        return told

    return run_


@pytest.fixture
def cells(tmp_path: Path) -> list[str]:
    south = f"https://s.example/s/a={tmp_path / 'south.key'}"
    return ["--cell", "n/a=env:NORTH", "-c", south, "-c", f"{CID}/mine"]


def told_of(*statuses: FusionCellStatus) -> Says:
    return Says(values={"cellsStatus": seal_statuses(KEY, statuses)})


def fusion(*statuses: FusionCellStatus, cells: tuple[FusionCellInfo, ...] = ()) -> Says:
    """Return what a broker says of a fusion project."""
    values = dict(project(type_="fusion").values)
    info = dict(values["smlInfo"])  # type: ignore[call-overload]
    info["params"] = {"fusion_cells": msgspec.json.encode(statuses).decode()}
    info["fusionCellInfoList"] = seal_cells(KEY, cells)
    return Says(values={"smlInfo": info})


def sent(broker: SignedBroker, place: int) -> list[tuple[str, str, str, str]]:
    found = read_cells(KEY, broker.asked[place].body)
    return [(cell.host, cell.cid, cell.pid, cell.sk) for cell in found]


def test_a_fusion_is_made_of_cells_whose_keys_stand_elsewhere(
    run: Run, broker: SignedBroker, cells: list[str]
) -> None:
    broker.says.extend([Says(201), fusion(GOOD, GONE)])
    told = run("create", "all", *cells, "--no-persist")
    assert (told.exit_code, told.stdout) == (0, f"all is made\n{TABLE}")
    assert broker.asked[0].path.endswith("/projects/fusion/create")
    assert broker.asked[0].query == "pid=all&persist=false"
    assert sent(broker, 0) == [
        ("", "n", "a", NORTH.text),
        ("https://s.example", "s", "a", SOUTH.text),
        ("", CID, "mine", KEY.text),
    ]


def test_the_status_says_who_is_missing_and_why(run: Run, broker: SignedBroker) -> None:
    broker.says.append(told_of(GOOD, GONE))
    told = run("status", "all")
    assert (told.exit_code, told.stdout) == (0, TABLE)
    assert broker.asked[0].path.endswith("/projects/fusion/all/cellsStatus")
    assert broker.asked[0].body == b""
    broker.says.append(told_of(GOOD, GONE))
    found = json.loads(run("status", "all", "--json").stdout)["cells"]
    assert [(one["state"], one["rows"], one["age_s"]) for one in found] == [
        ("OK", 20, 0.0),
        ("UNREACHABLE", 30, 125.0),
    ]


def test_cells_are_tried_before_there_is_a_project(
    run: Run, broker: SignedBroker, cells: list[str]
) -> None:
    broker.says.append(told_of(GOOD, GONE))
    assert run("status", *cells).stdout == TABLE
    assert broker.asked[0].path.endswith("/projects/fusion/cellsStatus")
    assert len(sent(broker, 0)) == 3


def test_cells_are_set_added_and_left_out(run: Run, broker: SignedBroker, cells: list[str]) -> None:
    broker.says.extend([Says(), fusion(GOOD)])
    told = run("update", "all", *cells)
    assert told.stdout.startswith("all has 1 cells\n20 rows; 1 of 1 cells answer\n")
    assert broker.asked[0].path.endswith("/projects/fusion/all/updateCellsInfo")
    known = (
        FusionCellInfo(host="local", cid="n", pid="a", sk=SOUTH.text),
        FusionCellInfo(host="https://s.example", cid="s", pid="a", sk=SOUTH.text),
    )
    broker.says.extend([fusion(cells=known), Says(), fusion(GOOD)])
    told = run("update", "all", "--add", "n/a=env:NORTH", "--remove", "https://s.example/s/a")
    assert told.exit_code == 0
    assert sent(broker, 3) == [("", "n", "a", NORTH.text)]  # with another key


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("create", "all"), 1, "cells: a fusion project needs at least one"),
        (("create", "all", "-c", "a"), 1, "'a' is not HOST/CID/PID"),
        (("create", "all", "-c", "n/a"), 1, "'n/a' is not your own; write =env:NAME or =FILE"),
        (("create", "all", "-c", "n/a=env:NO"), 1, "the variable 'NO' is not set"),
        (
            ("create", "all", "-c", "n/a=nothing.key"),
            1,
            "--cell: the file that it names: No such file",
        ),
        (("create", "all", "-c", "n/a=env:BAD"), 1, "it is not the base64 of 16 bytes"),
        (("create", "all", "-c", "ftp://a/n/a=env:NORTH"), 1, "host: 'ftp://a' is neither"),
        (("update", "all", "-c", f"{CID}/a", "--remove", "n/a"), 1, "--cell sets all cells"),
        (("create",), 2, "Missing argument"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_asks_nobody(
    run: Run, broker: SignedBroker, words: tuple[str, ...], code: int, sentence: str
) -> None:
    told = run(*words, BAD=NORTH.text[:-1])
    assert (told.exit_code, told.stdout) == (code, "")
    assert sentence in told.stderr
    assert NORTH.text[:-1] not in told.output
    assert broker.asked == []


def test_what_is_no_cell_cannot_be_removed(run: Run, broker: SignedBroker) -> None:
    broker.says.append(fusion(cells=(FusionCellInfo(cid="n", pid="a", sk=NORTH.text),)))
    told = run("update", "all", "--remove", "n/b")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "--remove: 'n/b' is none of the project's cells" in told.stderr


def test_another_project_has_no_cells(run: Run, broker: SignedBroker) -> None:
    broker.says.append(project())
    told = run("update", "p", "--add", f"{CID}/a")
    assert "Project [p] is not a fusion project" in told.stderr
