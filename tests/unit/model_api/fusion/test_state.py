from __future__ import annotations

from pathlib import Path

import pytest

from model_api.fusion.state import Fused, Snapshot
from tally.codec import contribution as contributions
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import CorruptState
from tally.fusion.cells import CellState
from tally.fusion.sources import Contribution
from tally.projects.cells import cell_key, decode_cells, encode_cells
from tally.wire.projects import ProjectUuid
from tests.golden.write_fusion import CELLS, fused
from tests.unit.model_api.fusion.cells import KEY, MASTER, sealed

GOLDEN = Path(__file__).parents[3] / "golden" / "two_cells.v1.fusion"


def test_a_state_survives_its_bytes() -> None:
    state = fused()
    again = Fused.decode(state.encode())
    assert again.encode() == state.encode()
    assert again.cells == CELLS
    assert again.project.row_count == state.project.row_count == 5
    assert again.merged.provenance == state.merged.provenance


def test_a_state_that_was_written_before_is_read_for_ever() -> None:
    again = Fused.decode(GOLDEN.read_bytes())
    assert again.cells == CELLS
    assert [one.fetched_ms for one in again.snapshots.values()] == [1_000, 2_000]
    assert again.project.summary.schema.names == ("x", "y", "z")
    assert again.project.row_count == 5


def test_damaged_bytes_are_told_from_a_state() -> None:
    data = bytearray(fused().encode())
    data[-1] ^= 1
    with pytest.raises(CorruptState):
        Fused.decode(bytes(data))
    with pytest.raises(CorruptState):
        Fused.decode(b"")


def test_a_cell_that_was_never_fetched_stays_so() -> None:
    state = Fused.decode(Fused.of(CELLS).encode())
    assert state.snapshots == {}
    assert state.project.row_count == 0


def test_attributes_keep_their_places_when_cells_come_and_go() -> None:
    state = fused()
    before = state.project.summary.schema.names
    left = state.with_cells(CELLS[1:])
    assert left.project.summary.schema.names == before
    assert left.project.row_count == 2


def test_the_same_source_twice_counts_once_and_is_named() -> None:
    state = fused()
    first, second = (one.cell for one in CELLS)
    twice = state.with_snapshots({second: state.snapshots[first]})
    assert twice.project.row_count == 3
    assert twice.refused[second].state is CellState.DUPLICATE_SOURCE


def test_without_histograms_none_are_merged() -> None:
    counted = Project.empty(Options(histogram=True))
    data = contributions.encode(Contribution.of("a", "1-1", counted))
    state = Fused.of(CELLS[:1]).with_snapshots({CELLS[0].cell: Snapshot.of(data, 1)})
    assert state.project.histograms is not None
    assert state.with_histogram(False).project.histograms is None
    assert Fused.decode(state.with_histogram(False).encode()).project.histograms is None


def test_a_key_opens_for_its_own_fusion_only() -> None:
    project = ProjectUuid("f" * 32)
    (cell,) = decode_cells(encode_cells(sealed(project, "a")))
    assert cell_key(MASTER, cell, project) == KEY
    assert KEY.text not in encode_cells([cell]).decode()
    with pytest.raises(CorruptState):
        cell_key(MASTER, cell, ProjectUuid("e" * 32))
