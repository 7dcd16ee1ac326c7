from __future__ import annotations

import contextlib
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tally.codec.container import open_sealed
from tally.codec.project import FORMAT_VERSION, decode, encode
from tally.codec.tensors import pack, unpack
from tally.engine.frame import Frame
from tally.engine.options import PARTITION, Options
from tally.engine.project import Project
from tally.errors import CorruptState, InvalidInput
from tests.golden.write_projects import CASES, frames, numbers, project

GOLDEN = Path(__file__).parents[2] / "golden"
EVERY = {case: encode(project(case)) for case in CASES}
FUZZ = settings(max_examples=100)


@pytest.mark.parametrize("case", CASES)
def test_a_project_comes_back(case: str) -> None:
    again = decode(EVERY[case])
    assert encode(again) == EVERY[case]
    assert numbers(again) == numbers(project(case))
    assert again.options == CASES[case]


def test_equal_projects_give_equal_bytes() -> None:
    assert {encode(project("plain")) for _ in range(5)} == {EVERY["plain"]}
    # Also when the rows of a window came in other pieces.
    whole = project("window")
    assert encode(decode(encode(whole))) == encode(whole)


def test_an_empty_project_comes_back() -> None:
    empty = encode(Project.empty(Options()))
    assert encode(decode(empty)) == empty


@pytest.mark.parametrize("case", CASES)
def test_a_project_goes_on_after_it_was_stored(case: str) -> None:
    later = frames()[1]
    if case == "sequence":
        later = later.without("late").without("color").without("x")
    ours, stored = project(case).draft(), decode(EVERY[case]).draft()
    for draft in (ours, stored):
        draft.learn(later)
    assert encode(ours.done()) == encode(stored.done())


@pytest.mark.parametrize("case", CASES)
def test_projects_that_version_1_wrote_load_for_ever(case: str) -> None:
    """The golden files are never rewritten; a new format adds files of its own."""
    again = numbers(decode((GOLDEN / f"{case}.v1.project").read_bytes()))
    expected = json.loads((GOLDEN / f"{case}.v1.project.json").read_text())
    assert json.loads(json.dumps(again)) == expected


@pytest.mark.parametrize("case", CASES)
def test_what_is_written_today_is_what_was_written_then(case: str) -> None:
    arrays, meta = unpack("project", FORMAT_VERSION, EVERY[case])
    golden, then = unpack(
        "project", FORMAT_VERSION, (GOLDEN / f"{case}.v{FORMAT_VERSION}.project").read_bytes()
    )
    assert meta == then
    assert arrays.keys() == golden.keys()
    for name, array in golden.items():
        np.testing.assert_allclose(arrays[name], array, rtol=1e-9, atol=1e-9, err_msg=name)


def test_partitions_come_back_under_their_own_names_in_whatever_order_they_began() -> None:
    options = Options("partition", {PARTITION: "w"})
    for wards in (("b", "b", "a"), ("a", "b", "b")):
        draft = Project.empty(options).draft()
        draft.learn(Frame(("w", "x"), "SC", (wards, np.zeros(3)), 3))
        again = decode(encode(draft.done())).partitions
        assert {value: part.counts().tolist() for value, part in again.items()} == {
            "a": [1.0],
            "b": [2.0],
        }


def test_an_export_that_version_1_wrote_opens_for_ever() -> None:
    text = (GOLDEN / "plain.v1.export").read_text()
    assert open_sealed(text, max_bytes=1 << 20) == (GOLDEN / "plain.v1.project").read_bytes()


@FUZZ
@given(case=st.sampled_from(list(CASES)), data=st.data())
def test_cut_bytes_are_refused(case: str, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(EVERY[case]) - 1))
    with pytest.raises(CorruptState):
        decode(EVERY[case][:end])


@FUZZ
@given(case=st.sampled_from(list(CASES)), data=st.data())
def test_a_flipped_bit_is_refused_or_changes_nothing(case: str, data: st.DataObject) -> None:
    changed = bytearray(EVERY[case])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(CorruptState):
        assert encode(decode(bytes(changed))) == EVERY[case]


@FUZZ
@given(st.binary(max_size=300))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(CorruptState):
        decode(garbage)


@pytest.mark.parametrize("size", [2**25 + 1, 2**40, 2**64 - 1])
def test_a_header_that_claims_to_be_huge_is_refused_before_it_is_read(size: int) -> None:
    with pytest.raises(CorruptState, match="no readable header"):
        decode(size.to_bytes(8, "little") + b"{}")


def test_a_header_nested_without_end_is_refused() -> None:
    header = b'{"__metadata__":' + b'{"a":' * 100_000
    with pytest.raises(CorruptState, match="header"):
        decode(len(header).to_bytes(8, "little") + header)


def test_bytes_of_another_kind_or_version_are_refused() -> None:
    arrays, meta = unpack("project", FORMAT_VERSION, EVERY["plain"])
    with pytest.raises(CorruptState, match="format 2; 1 is known"):
        decode(pack("project", 2, arrays, meta))
    with pytest.raises(CorruptState, match="hold 'model', not 'project'"):
        decode(pack("model", 1, arrays, meta))


@FUZZ
@given(case=st.sampled_from(list(CASES)), data=st.data())
def test_a_forged_project_is_refused_or_one_that_can_be_used(
    case: str, data: st.DataObject
) -> None:
    """An export is made by its sender, who can compute a digest too."""
    arrays, meta = unpack("project", FORMAT_VERSION, EVERY[case])
    forged: dict[str, NDArray[np.generic]] = dict(arrays)
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(arrays)))
        forged[name] = data.draw(st.sampled_from(_FORGERIES))(arrays[name])
    else:
        meta = _with_another_leaf(meta, data)
    with contextlib.suppress(CorruptState), np.errstate(all="ignore"):
        opened = decode(pack("project", FORMAT_VERSION, forged, meta))
        numbers(opened)
        encode(opened)
        draft = opened.draft()
        with contextlib.suppress(InvalidInput):
            draft.learn(frames()[0])
        draft.done()


_FORGERIES = [
    lambda array: array[:-1],
    lambda array: array.reshape(1, *array.shape),
    lambda array: array.astype(np.float32),
    lambda array: np.nan_to_num(array).astype(np.int64),
    lambda array: np.full_like(array, np.nan) if array.dtype.kind == "f" else array,
    lambda array: np.full(array.shape, -1).astype(array.dtype),
    lambda array: np.full_like(array, np.inf) if array.dtype.kind == "f" else array,
    lambda array: np.full_like(array, 3),
    lambda array: array + 1,
]


def _with_another_leaf(meta: dict[str, object], data: st.DataObject) -> dict[str, object]:
    other: st.SearchStrategy[object] = st.sampled_from(
        [None, -1, 0, 2**70, "", "C", [], {}, [None], ["x"], 1.5, True]
    )
    meta = msgspec.json.decode(msgspec.json.encode(meta))
    node: object = meta
    while True:
        assert isinstance(node, dict | list)
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        below = node[key]
        if isinstance(below, dict | list) and below and data.draw(st.booleans()):
            node = below
            continue
        node[key] = data.draw(other)
        return meta
