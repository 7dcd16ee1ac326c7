from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.codec import project as projects
from tally.codec.contribution import decode, encode, head
from tally.codec.tensors import pack, unpack
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import CorruptState
from tally.fusion.sources import Contribution, Leaf
from tally.wire import cell_statistics
from tally.wire.cell_statistics import CellHead, LeafRecord, pack_cell, unpack_cell
from tests.golden.write_contributions import CASES, HERE, contribution

EVERY = {case: encode(contribution(case)) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_a_contribution_comes_back(case: str) -> None:
    again = decode(EVERY[case])
    assert encode(again) == EVERY[case]
    ours = contribution(case)
    assert (again.source, again.version, again.provenance) == (
        ours.source, ours.version, ours.provenance,
    )  # fmt: skip
    assert again.rows == ours.rows > 0


@pytest.mark.parametrize("case", CASES)
def test_contributions_that_version_1_wrote_load_for_ever(case: str) -> None:
    """The golden files are never rewritten; a new format adds files of its own."""
    data = (HERE / f"{case}.v1.contribution").read_bytes()
    assert encode(decode(data)) == EVERY[case]


@settings(max_examples=100)
@given(st.data())
def test_damage_is_found(data: st.DataObject) -> None:
    whole = EVERY["cell"]
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = whole[:at]
    flipped = cut + bytes([whole[at] ^ (1 << data.draw(st.integers(0, 7)))]) + whole[at + 1 :]
    for damaged in (cut, flipped):
        with contextlib.suppress(CorruptState):
            # Bytes between the arrays may be of no meaning; then nothing has changed.
            assert encode(decode(damaged)) == whole


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"rows": 1}, "says that it has 1 rows; its statistics count 0"),
        ({"rows": -1}, "no number of rows"),
        ({"rows": 2**64 - 1}, "no number of rows"),
        ({"version": ""}, "no such name"),
        ({"source": "a" * 101}, "no such name"),
        ({"version": "the key is\n"}, "no such name"),
        ({"provenance": (LeafRecord("a", "1-1", 2**60),)}, "no number of rows"),
        ({"provenance": (LeafRecord("a b", "1-1", 0),)}, "no such name"),
        ({"provenance": (LeafRecord("a", "1-1", 1),) * 2}, "the same project twice"),
    ],
)
def test_a_head_that_lies_is_refused(told: dict[str, object], text: str) -> None:
    true = CellHead(source="a", version="1-1", rows=0, provenance=(LeafRecord("a", "1-1", 0),))
    body = projects.encode(Project.empty(Options()))
    assert decode(pack_cell(true, body)).rows == 0
    with pytest.raises(CorruptState, match=text):
        decode(pack_cell(msgspec.structs.replace(true, **told), body))


def test_rows_of_a_window_are_refused() -> None:
    windowed = Project.empty(Options("cpu", {"sml_project_rolling_window_size": "3"}))
    body = projects.encode(windowed)
    with pytest.raises(CorruptState, match="rows of a window"):
        decode(pack_cell(CellHead(source="a", version="1-1", rows=0), body))


def test_sums_beyond_those_of_any_rows_are_refused() -> None:
    body = projects.encode(contribution("cell").project)
    arrays, meta = unpack("project", projects.FORMAT_VERSION, body)
    told = head(contribution("cell"))
    for name in ("origins", "n", "s", "q", "xy", "xxy", "xxyy"):
        forged = {key: array.copy() for key, array in arrays.items()}
        forged[f"summary/{name}"].reshape(-1)[0] = 1e305
        with pytest.raises(CorruptState, match="beyond those of any rows"):
            decode(pack_cell(told, pack("project", projects.FORMAT_VERSION, forged, meta)))


def test_a_newer_format_says_so() -> None:
    newer = bytearray(EVERY["cell"])
    newer[8] = 2
    with pytest.raises(CorruptState, match="format 2; 1 is known"):
        unpack_cell(bytes(newer))


def test_more_leaves_than_a_node_reads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_statistics, "MAX_LEAVES", 2)
    leaves = tuple(LeafRecord(str(k), "1-1", 0) for k in range(3))
    with pytest.raises(CorruptState, match="from 3 projects"):
        unpack_cell(pack_cell(CellHead(source="a", version="1", rows=0, provenance=leaves)))


def test_what_is_not_modified_has_no_bytes() -> None:
    given_ = contribution("merged")
    told, body = unpack_cell(pack_cell(head(given_, not_modified=True)))
    assert told.not_modified
    assert body == b""
    assert len(told.provenance) == len(given_.provenance)


def test_provenance_is_part_of_the_bytes() -> None:
    ours = contribution("cell")
    other = replace(ours, provenance=(Leaf("c" * 32, "9-9", ours.rows),))
    assert isinstance(other, Contribution)
    assert encode(other) != encode(ours)


def test_the_golden_files_are_those_of_the_cases() -> None:
    found = {path.name.partition(".")[0] for path in Path(HERE).glob("*.contribution")}
    assert found == set(CASES)
