from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tally.codec.model import FORMAT_VERSION, decode, encode
from tally.codec.tensors import pack, unpack
from tally.errors import CorruptState
from tally.models.base import Source, Value
from tests.golden.write_models import numbers, path
from tests.property.models.cases import CASES

LDA = CASES["lda"].model()
BYTES = encode(LDA)


@pytest.mark.parametrize("case", CASES)
def test_models_that_version_1_wrote_load_for_ever(case: str) -> None:
    """The golden files are never rewritten; a new format adds files of its own."""
    found = numbers(decode(path(case).read_bytes()))
    expected = json.loads(path(case).with_suffix(".statmodel.json").read_text())
    answers, then = found.pop("answers"), expected.pop("answers")
    assert json.loads(json.dumps(found)) == expected
    assert isinstance(answers, dict)
    assert list(answers) == list(then)
    for key, values in answers.items():
        if isinstance(values[0], str):
            assert values == then[key]
        else:
            assert values == pytest.approx(then[key], rel=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_what_is_written_today_has_the_form_of_what_was_written_then(case: str) -> None:
    today, then = encode(CASES[case].model()), path(case).read_bytes()
    (arrays, meta), (golden, meta_then) = (
        unpack("model", FORMAT_VERSION, d) for d in (today, then)
    )
    assert _shapes(arrays) == _shapes(golden)
    assert meta.keys() == meta_then.keys()
    told = decode(today).tables
    for name, table in decode(then).tables.items():
        assert {k: len(v) for k, v in told[name].items()} == {k: len(v) for k, v in table.items()}


def _shapes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's arrays, but for what it tells: that may be more by now."""
    kept = {
        name: array for name, array in arrays.items() if not name.startswith(("info", "table/"))
    }
    return {name: array.shape for name, array in kept.items()}


def test_numbers_that_json_has_not_come_back() -> None:
    info: dict[str, Value] = {
        "nan": math.nan,
        "much": math.inf,
        "text": "NaN",
        "truth": True,
        "whole": 3,
    }
    sources = (Source("site", "7", 150),)
    again = decode(encode(replace(LDA, info=info, sources=sources)))
    assert math.isnan(float(again.info["nan"]))
    assert {**again.info, "nan": 0} == {**info, "nan": 0}
    assert list(again.info) == list(info)
    assert again.sources == sources
    assert (again.rows, again.learned) == (150, 150)


def test_nobody_can_change_a_model_in_place() -> None:
    for model in (LDA, decode(BYTES)):
        with pytest.raises(ValueError, match="read-only"):
            model.rule.weights[0] = 1.0  # type: ignore[attr-defined]


@given(st.integers(0, len(BYTES) - 1), st.integers(1, 255))
@settings(max_examples=100)
def test_a_changed_byte_is_found(place: int, change: int) -> None:
    changed = bytearray(BYTES)
    changed[place] ^= change
    with contextlib.suppress(CorruptState):
        # Spaces that pad the header may be anything that JSON takes for one.
        assert encode(decode(bytes(changed))) == BYTES


def test_arrays_that_do_not_fit_are_refused_before_they_are_used() -> None:
    arrays, meta = unpack("model", FORMAT_VERSION, BYTES)
    for name in arrays:
        if name == "info" or name.startswith("table"):
            continue
        for wrong in (arrays[name][:-1], np.zeros((2, 7))):
            with pytest.raises(CorruptState, match="cannot be read"):
                decode(pack("model", FORMAT_VERSION, {**arrays, name: wrong}, meta))
        less = {key: array for key, array in arrays.items() if key != name}
        if name != "filler/covariance":  # of a model too large to impute
            with pytest.raises(CorruptState, match="cannot be read"):
                decode(pack("model", FORMAT_VERSION, less, meta))


@pytest.mark.parametrize(
    ("key", "value"),
    [("family", "mlr"), ("family", "magic"), ("rule", "Linear"), ("inputs", 0), ("inputs", 99)],
)
def test_a_record_that_does_not_fit_is_refused(key: str, value: object) -> None:
    arrays, meta = unpack("model", FORMAT_VERSION, BYTES)
    with pytest.raises(CorruptState, match="cannot be read"):
        decode(pack("model", FORMAT_VERSION, arrays, {**meta, key: value}))
