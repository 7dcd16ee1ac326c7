"""A record as bytes: versioned, complete, and without what must not be written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.codec.tensors import pack, unpack
from tally.errors import CorruptState
from tally.federation.privacy.record import LocalRecord
from tally.federation.privacy.record_codec import decode, encode
from tests.golden.write_records import KEY, example, partitioned

GOLDEN = Path(__file__).parents[2] / "golden"
KIND = "privacy record"


def told(record: LocalRecord) -> object:
    ledger = record.patients
    return (
        record.turnover,
        None if ledger is None else (ledger.columns, ledger.ids.tolist(), ledger.rows.tolist()),
        {
            name: (spread.keys.tolist(), spread.counts.tolist(), spread.width)
            for name, spread in record.spreads.items()
        },
        {value: told(part) for value, part in record.partitions.items()},
    )


@pytest.mark.parametrize("record", [example(), partitioned()])
def test_a_record_comes_back_whole(record: LocalRecord) -> None:
    again = decode(encode(record), hipaa_key=KEY)
    assert told(again) == told(record)
    assert encode(again) == encode(record)
    assert example().spreads["x"].width > 0
    empty = LocalRecord.empty(hipaa_key=None)
    assert told(decode(encode(empty))) == told(empty)


@pytest.mark.parametrize(("version", "record"), [(1, example()), (2, partitioned())])
def test_every_version_is_read_for_ever(version: int, record: LocalRecord) -> None:
    data = (GOLDEN / f"federation.v{version}.record").read_bytes()
    assert told(decode(data, hipaa_key=KEY)) == told(record)
    assert encode(record) == data


def test_without_partitions_a_record_is_of_version_1_and_others_are_refused() -> None:
    arrays, meta = unpack(KIND, 1, encode(example()))
    for version in (0, 2, 3):
        with pytest.raises(CorruptState, match="privacy record"):
            decode(pack(KIND, version, arrays, meta), hipaa_key=KEY)


def test_partitions_that_do_not_add_up_are_corrupt() -> None:
    arrays, meta = unpack(KIND, 2, encode(partitioned()))
    values = meta["partitions"]
    for wrong in ([], values[:1], values[:1] * 2, [*values, "more"]):
        with pytest.raises(CorruptState, match="privacy record"):
            decode(pack(KIND, 2, arrays, {**meta, "partitions": wrong}), hipaa_key=KEY)
    nested = np.frombuffer(encode(partitioned()), np.uint8)
    with pytest.raises(CorruptState, match="privacy record of format 2"):
        decode(pack(KIND, 2, {**arrays, "partition/0": nested}, meta), hipaa_key=KEY)


def test_the_bytes_hold_no_id_and_no_key() -> None:
    for record in (example(), partitioned()):
        data = encode(record)
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
    arrays, meta = unpack(KIND, 1, encode(example()))
    with pytest.raises(CorruptState, match="privacy record"):
        decode(pack(KIND, 1, {**arrays, array: value}, meta), hipaa_key=KEY)


@pytest.mark.parametrize("field", ["added", "attributes", "patients"])
def test_meta_that_is_wrong_is_corrupt(field: str) -> None:
    arrays, meta = unpack(KIND, 1, encode(example()))
    for value in (-1, "no", [1]):
        wrong = json.loads(json.dumps({**meta, field: value}))
        with pytest.raises(CorruptState):
            decode(pack(KIND, 1, arrays, wrong), hipaa_key=KEY)


@settings(max_examples=60)
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
