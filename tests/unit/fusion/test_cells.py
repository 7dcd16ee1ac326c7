from __future__ import annotations

import pytest

from tally.fusion.cells import Cell, CellState, Scope, Status, fetch_error, repeated
from tally.fusion.schedule import due

HERE = Cell.of("local", "c1", "p1")
THERE = Cell.of("https://b.example:8443", "c2", "p2")


@pytest.mark.parametrize("host", ["", "  ", "local", "LOCAL", "local/"])
def test_a_host_that_names_nothing_else_is_this_server(host: str) -> None:
    assert Cell.of(host, "c1", "p1") == HERE
    assert Cell.of(host, "c1", "p1").is_local


def test_one_server_is_written_in_one_way() -> None:
    assert Cell.of(" HTTPS://B.example:8443/ ", "c2", "p2") == THERE
    assert not THERE.is_local


def test_the_two_statistics_of_a_federated_project_are_two_cells() -> None:
    cells = [HERE, THERE, Cell.of("local", "c1", "p1", Scope.FEDERATED)]
    assert repeated(cells) is None
    assert repeated([*cells, HERE]) == HERE


def test_every_problem_is_told_and_nothing_else() -> None:
    states = [
        (HERE, Status(CellState.OK)),
        (HERE, Status(CellState.NOT_MODIFIED)),
        (HERE, Status(CellState.PENDING)),
        (THERE, Status(CellState.TIMEOUT)),
        (HERE, Status(CellState.DUPLICATE_SOURCE, "ab")),
    ]
    assert fetch_error(states) == (
        "cell[https://b.example:8443 c2/p2] TIMEOUT; cell[local c1/p1] DUPLICATE_SOURCE: ab"
    )
    assert fetch_error(states[:3]) == ""


def test_a_detail_stands_on_one_line_and_has_an_end() -> None:
    text = Status(CellState.ERROR, "first\r\nsecond" + " x" * 1000).text
    assert text.startswith("ERROR: first second x")
    assert len(text) < 320


def test_the_states_are_those_of_the_protocol() -> None:
    assert " ".join(CellState) == (
        "OK NOT_MODIFIED PENDING TIMEOUT UNREACHABLE UNAUTHORIZED NO_SUCH_PROJECT NOT_SUPPORTED "
        "INCOMPATIBLE_SCHEMA DUPLICATE_SOURCE CYCLE DEPTH_LIMIT TOO_FEW_ROWS ERROR"
    )


def test_a_frozen_project_never_fetches() -> None:
    assert due(1e9, 0.0, 15000)
    assert not due(1e9, 0.0, 15000, frozen=True)
    assert not due(1e9, None, 15000, frozen=True)


def test_without_a_pause_every_question_fetches() -> None:
    assert due(5.0, 5.0, 0)
