"""A record as bytes: versioned, complete, and without what must not be written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.codec.tensors import pack, unpack
from tally.engine.frame import Frame
from tally.engine.options import Options
from tally.errors import CorruptState
from tally.federation.privacy.record import LocalRecord
from tally.federation.privacy.record_codec import FORMAT_VERSION, decode, encode

KEY = bytes(range(32))
GOLDEN = Path(__file__).parents[2] / "golden" / "federation.v1.record"


def example() -> LocalRecord:
    """Return what the golden file holds."""
    ids = tuple(f"patient-{k % 7}" for k in range(40))
    x, far = np.arange(40.0) / 8, 1e9 + np.arange(40.0) % 3
    frame = Frame(("mrn", "x", "far"), "PCC", (ids, x, far), 40)
    many = Frame(("mrn", "x"), "PC", (("z",) * 5000, np.arange(5000.0) ** 2), 5000)
    first = Frame(("mrn", "x"), "PC", (ids[:3], x[:3]), 3)
    options = Options()
    record = LocalRecord.empty(hipaa_key=KEY).learned(frame, options)
    return record.learned(many, options).forgot(first, options)


def told(record: LocalRecord) -> object:
    ledger = record.patients
    return (
        record.turnover,
        None if ledger is None else (ledger.columns, ledger.ids.tolist(), ledger.rows.tolist()),
        {
            name: (spread.keys.tolist(), spread.counts.tolist(), spread.width)
            for name, spread in record.spreads.items()
        },
    )


def test_a_record_comes_back_whole() -> None:
    record = example()
    assert record.spreads["x"].width > 0
    again = decode(encode(record), hipaa_key=KEY)
    assert told(again) == told(record)
    assert encode(again) == encode(record)
    empty = LocalRecord.empty(hipaa_key=None)
    assert told(decode(encode(empty))) == told(empty)


def test_version_1_is_read_for_ever() -> None:
    assert told(decode(GOLDEN.read_bytes(), hipaa_key=KEY)) == told(example())


def test_the_bytes_hold_no_id_and_no_key() -> None:
    data = encode(example())
    assert b"patient-" not in data
    assert KEY not in data
    assert KEY.hex().encode() not in data


@pytest.mark.parametrize("key", [None, bytes(32)])
def test_another_key_or_none_is_noticed(key: bytes | None) -> None:
    with pytest.raises(CorruptState):
        decode(encode(example()), hipaa_key=key)


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("keys", np.zeros(0)),
        ("counts", np.zeros(4, np.int64)),
        ("sizes", np.array([10**18, 4], np.int64)),
        ("widths", np.array([-1.0, 0.0])),
        ("widths", np.array([3.0, 0.0])),
        ("ids", np.zeros((8, 15), np.uint8)),
        ("ids", np.zeros((8, 16), np.uint8)),
        ("rows", np.full(8, -1)),
        ("rows", np.ones((8, 1), np.int64)),
    ],
)
def test_arrays_that_do_not_belong_together_are_corrupt(
    array: str, value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> None:
    arrays, meta = unpack("privacy record", FORMAT_VERSION, encode(example()))
    with pytest.raises(CorruptState, match="privacy record"):
        decode(
            pack("privacy record", FORMAT_VERSION, {**arrays, array: value}, meta), hipaa_key=KEY
        )


@pytest.mark.parametrize("field", ["added", "attributes", "patients"])
def test_meta_that_is_wrong_is_corrupt(field: str) -> None:
    arrays, meta = unpack("privacy record", FORMAT_VERSION, encode(example()))
    for value in (-1, "no", [1]):
        wrong = json.loads(json.dumps({**meta, field: value}))
        with pytest.raises(CorruptState):
            decode(pack("privacy record", FORMAT_VERSION, arrays, wrong), hipaa_key=KEY)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_is_noticed(place: int, value: int) -> None:
    data = bytearray(encode(LocalRecord.empty(hipaa_key=KEY)))
    place %= len(data)
    if data[place] == value:
        return
    data[place] = value
    try:
        again = decode(bytes(data), hipaa_key=KEY)
    except CorruptState:
        return
    assert told(again) == told(LocalRecord.empty(hipaa_key=KEY))  # white space of a header
