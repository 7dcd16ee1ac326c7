from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.codec.frame.parquet_pages import rows_and_bytes
from tally.codec.frame.thrift import read_struct


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ("00", {}),
        ("1503 00", {1: -2}),
        ("15d804 00", {1: 300}),
        ("11 12 00", {1: True, 2: False}),
        ("05 c801 02 00", {100: 1}),  # the number of the field itself, not a step to it
        ("18 03616263 00", {1: b"abc"}),
        ("1c 1502 00 00", {1: {1: 1}}),
        ("19 25 0204 00", {1: [1, 2]}),
        ("19 f5 10 " + "02" * 16 + "00", {1: [1] * 16}),
        ("19 1c 1502 00 00", {1: [{1: 1}]}),
        ("17 0102030405060708 00", {1: bytes(range(1, 9))}),
    ],
)
def test_structs_are_read(data: str, fields: dict[int, object]) -> None:
    raw = bytes.fromhex(data.replace(" ", ""))
    assert read_struct(raw) == (fields, len(raw))


@pytest.mark.parametrize(
    "data",
    [
        "",
        "15",
        "15ffffffffffffffffffffff",
        "18 7f 61",
        "1c" * 30,
        "19" * 40,
        "1b 00",
        "1502 0502 02",
    ],
)
def test_damaged_structs_are_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"early|bytes|deep|kind|twice"):
        read_struct(bytes.fromhex(data.replace(" ", "")))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_struct_or_refused(data: bytes) -> None:
    try:
        _, end = read_struct(data)
    except ValueError:
        return
    assert 0 < end <= len(data)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_pages_are_counted_as_pyarrow_counts_them(version: str, codec: str) -> None:
    table = pa.table({"a": range(5000), "b": ["x", "yy"] * 2500, "c": [[1], None] * 2500})
    out = io.BytesIO()
    pq.write_table(
        table, out, compression=codec, data_page_version=version, data_page_size=1000,
        row_group_size=1700,
    )  # fmt: skip
    rows, size = rows_and_bytes(out.getvalue())
    metadata = pq.ParquetFile(out).metadata
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    assert rows == 5000
    # Theirs counts the headers too.
    assert 0.5 * sum(group.total_byte_size for group in groups) < size
    assert size < sum(group.total_byte_size for group in groups)
