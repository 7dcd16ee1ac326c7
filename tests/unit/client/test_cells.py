from __future__ import annotations

import pytest

from tally.client import Cell, CellsStatus, CellStatus, FusionCycle, NameTaken, ProjectRefused
from tally.client.cells import place_of
from tally.client.errors import refusal
from tally.client.results.cells import _WORDS
from tally.errors import InvalidInput
from tally.fusion.cells import CellState
from tally.wire import texts
from tally.wire.fusion import FusionCellStatus
from tally.wire.secret_key import SecretKey
from tests.unit.client.signed_broker import KEY


def status(state: str, *, rows: int = 0, age_ms: int = 0, host: str = "local") -> CellStatus:
    version = "1-1" if rows else ""
    told = FusionCellStatus(
        host=host, cid="ann", pid="a", status=state, rows=rows, age_ms=age_ms, version=version
    )
    return CellStatus.of(told)


def test_a_key_is_in_no_picture_of_a_cell() -> None:
    cell = Cell("https://a.example", "ann", "a", KEY.text)
    assert cell.key == KEY
    for shown in (repr(cell), str(cell), repr(cell.info), f"{cell.place}"):
        assert KEY.text[:6] not in shown
    with pytest.raises(TypeError, match="pickled"):
        cell.key.__reduce_ex__(2)
    with pytest.raises(InvalidInput) as caught:
        Cell("", "ann", "a", KEY.text[:-1])
    assert KEY.text[:6] not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "cid", "pid", "scope", "field"),
    [
        ("ftp://a", "ann", "a", "local", "host"),
        ("https://a/path", "ann", "a", "local", "host"),
        ("", "", "a", "local", "cid"),
        ("", "ann", " ", "local", "pid"),
        ("", "ann", "a", "else", "scope"),
    ],
)
def test_an_impossible_cell_is_refused_by_its_field(
    host: str, cid: str, pid: str, scope: str, field: str
) -> None:
    with pytest.raises(InvalidInput, match=field):
        Cell(host, cid, pid, KEY, scope)


def test_the_same_cell_written_twice_is_the_same_place() -> None:
    one, other = (Cell.at(f"{host}/ann/a", KEY) for host in ("https://A.example", "local"))
    assert one.place == Cell("https://a.example/", "ann", "a", KEY).place
    assert other.place == Cell.at("ann/a", SecretKey.generate()).place


@pytest.mark.parametrize("text", ["", "a", "/", "ann/", "/a", "https://a", "https://a.example/a"])
def test_a_place_that_is_not_whole_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="HOST/CID/PID"):
        place_of(text)


def test_every_state_has_words() -> None:
    assert set(_WORDS) == set(CellState)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (status("OK", rows=5), "ann/a has something new"),
        (
            status("TIMEOUT: no answer within 10 ms", rows=5, age_ms=150_000),
            "ann/a did not answer in time (no answer within 10 ms); its 5 rows of 2 min ago count",
        ),
        (
            status("UNREACHABLE", host="https://b.example"),
            "https://b.example/ann/a cannot be reached; none of its rows count",
        ),
        (
            status("DUPLICATE_SOURCE: u1", rows=5),
            "ann/a brings rows that came by another cell already (u1); none of its rows count",
        ),
        (status("HIBERNATES"), "ann/a HIBERNATES; none of its rows count"),
    ],
)
def test_a_state_is_told_in_words(told: CellStatus, words: str) -> None:
    assert told.words == words


def test_a_table_says_first_who_is_missing() -> None:
    told = CellsStatus((status("OK", rows=5), status("TIMEOUT"), status("CYCLE", rows=9)))
    head, first, second, *_ = str(told).splitlines()
    assert head == "5 rows; 1 of 3 cells answer"
    assert first.startswith("ann/a did not answer in time")
    assert second.startswith("ann/a asks for this project itself")
    assert "<table>" in told._repr_html_()
    assert (len(told), told.missing) == (3, told.cells[1:])


def test_models_and_projects_that_have_no_cells_tell_none() -> None:
    for params in ({}, {"fusion_cells": "?"}, {"fusion_cells": "[]"}):
        assert CellsStatus.told_in(params).cells == ()


@pytest.mark.parametrize(
    ("status_", "text", "kind"),
    [
        (400, texts.fusion_cycle(["a", "a"]), FusionCycle),
        (409, texts.fusion_cycle(["a", "a"]), FusionCycle),
        (409, texts.project_exists("p", "c"), NameTaken),
        (400, texts.frozen("p"), ProjectRefused),
    ],
)
def test_a_circle_is_no_name_that_is_taken(
    status_: int, text: str, kind: type[ProjectRefused]
) -> None:
    body = b'{"statusString":"%s"}' % text.encode()
    assert type(refusal(status_, body)) is kind
