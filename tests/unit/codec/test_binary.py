from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from tally.codec.binary import decode, encode
from tally.errors import CorruptState, FitFailed
from tally.forecast.base import State
from tally.forecast.families import FAMILIES, defaults
from tally.forecast.fitting import load, restore
from tests.golden.write_golden import series

GOLDEN = Path(__file__).parents[2] / "golden"
STATE = State("f", {"a": np.arange(6.0), "b": np.array([1, 2], dtype=np.int64)}, {"n": 3})


def test_a_state_comes_back() -> None:
    again = decode(encode(STATE))
    assert again.family == "f"
    assert again.meta == {"n": 3}
    assert again.arrays["a"].tolist() == STATE.arrays["a"].tolist()
    assert again.arrays["b"].dtype == np.int64


def test_equal_states_give_equal_bytes() -> None:
    other = State("f", {name: STATE.arrays[name] for name in ("b", "a")}, {"n": 3})
    assert len({encode(STATE) for _ in range(20)} | {encode(other)}) == 1


@pytest.mark.parametrize(
    "view",
    [np.arange(6.0)[::-1], np.arange(6.0)[::2], np.arange(6.0).reshape(2, 3).T],
    ids=["reversed", "strided", "transposed"],
)
def test_views_come_back_as_they_look(
    view: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    assert decode(encode(State("f", {"a": view}, {}))).arrays["a"].tolist() == view.tolist()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_stored(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        encode(State("f", {"a": np.array([value])}, {}))


def test_objects_are_not_stored() -> None:
    with pytest.raises(ValueError, match="type object"):
        encode(State("f", {"a": np.array([{}], dtype=object)}, {}))


@given(data=st.data())
def test_cut_bytes_are_refused(data: st.DataObject) -> None:
    encoded = encode(STATE)
    end = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(CorruptState):
        decode(encoded[:end])


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(CorruptState):
        decode(garbage)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"other": "x"},
        {"tally": "no json"},
        {"tally": '{"format_version":2,"family":"f","meta":{}}'},
        {"tally": '{"format_version":1,"meta":{}}'},
    ],
)
def test_a_foreign_or_newer_file_is_refused(metadata: dict[str, str] | None) -> None:
    with pytest.raises(CorruptState):
        decode(bytes(save({"a": np.zeros(2)}, metadata)))


@pytest.mark.parametrize(("size", "rest"), [(2**40, b"{}"), (2**20 + 1, b" " * (2**20 + 1))])
def test_a_header_that_claims_to_be_huge_is_refused_before_it_is_read(
    size: int, rest: bytes
) -> None:
    with pytest.raises(CorruptState, match="no readable header"):
        decode(size.to_bytes(8, "little") + rest)


def test_a_header_nested_without_end_is_refused() -> None:
    header = b'{"a":' * 100_000
    with pytest.raises(CorruptState, match="header"):
        decode(len(header).to_bytes(8, "little") + header)


def test_a_type_that_numpy_lacks_is_refused() -> None:
    encoded = encode(State("f", {"a": np.zeros(1)}, {}))
    foreign = encoded.replace(b'"F64","shape":[1]', b'"BF16","shape":[4]')
    size = int.from_bytes(foreign[:8], "little") + len(foreign) - len(encoded)
    with pytest.raises(CorruptState):
        decode(size.to_bytes(8, "little") + foreign[8:])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_stored_numbers_that_are_not_finite_are_refused(value: float) -> None:
    metadata = {"tally": '{"format_version":1,"family":"f","meta":{}}'}
    with pytest.raises(CorruptState, match="'a' of the stored model is not finite"):
        decode(bytes(save({"a": np.array([value])}, metadata)))


@pytest.mark.parametrize("name", ["harmonic_ar", "seasonal_naive"])
@given(data=st.data())
def test_a_flipped_bit_is_refused_or_still_a_model(name: str, data: st.DataObject) -> None:
    encoded = bytearray((GOLDEN / f"{name}.v1.model").read_bytes())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    # The digest in the manifest catches this first; nothing but these two may come of it.
    with contextlib.suppress(CorruptState, FitFailed), np.errstate(all="ignore"):
        restore(decode(bytes(encoded))).forecast(3, (95.0,))


@pytest.mark.parametrize("name", FAMILIES)
def test_models_that_version_1_wrote_load_for_ever(name: str) -> None:
    """The golden files are never rewritten; a new format adds files of its own."""
    binary = (GOLDEN / f"{name}.v1.model").read_bytes()
    expected = json.loads((GOLDEN / f"{name}.v1.json").read_text())
    forecast = restore(decode(binary)).forecast(14, (95.0,))
    np.testing.assert_allclose(forecast.mean, expected["mean"], rtol=1e-12)
    np.testing.assert_allclose(forecast.upper[95.0], expected["upper"], rtol=1e-12)


@pytest.mark.parametrize("name", ["harmonic_ar", "seasonal_naive"])
def test_what_is_written_today_is_what_was_written_then(name: str) -> None:
    binary = (GOLDEN / f"{name}.v1.model").read_bytes()
    state = load(name).fit(series(), 7, defaults(name)).state()
    golden = decode(binary)
    assert {**state.meta} == {**golden.meta}
    assert state.arrays.keys() == golden.arrays.keys()
    for array, then in golden.arrays.items():
        now = state.arrays[array]
        np.testing.assert_allclose(
            now.astype(np.float64), then.astype(np.float64), rtol=1e-6, atol=1e-9, err_msg=array
        )
