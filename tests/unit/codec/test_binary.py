from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from tally.codec.binary import decode, encode
from tally.errors import CorruptState
from tally.forecast.base import State
from tally.forecast.families import defaults
from tally.forecast.fitting import load, restore

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


def test_a_header_that_claims_to_be_huge_is_refused_before_it_is_read() -> None:
    with pytest.raises(CorruptState, match="header"):
        decode((2**40).to_bytes(8, "little") + b"{}")


@pytest.mark.parametrize("name", ["harmonic_ar", "seasonal_naive"])
def test_models_that_version_1_wrote_load_for_ever(name: str) -> None:
    """The golden files are never rewritten; a new format adds files of its own."""
    binary = (GOLDEN / f"{name}.v1.model").read_bytes()
    expected = json.loads((GOLDEN / f"{name}.v1.json").read_text())
    forecast = restore(decode(binary)).forecast(14, (95.0,))
    np.testing.assert_allclose(forecast.mean, expected["mean"], rtol=1e-12)
    np.testing.assert_allclose(forecast.upper[95.0], expected["upper"], rtol=1e-12)
    # What is written today is what was written then.
    time = np.arange(70)
    values = 10 + 0.1 * time + np.array([3.0, 1, 0, -1, -2, -1, 0])[time % 7] + np.cos(time)
    state = load(name).fit(values, 7, defaults(name)).state()
    assert decode(encode(state)).arrays.keys() == decode(binary).arrays.keys()
