"""Arrow streams and Parquet files."""

from __future__ import annotations

import datetime
import io
import struct
import sys
from decimal import Decimal
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tally.codec.frame import Limits
from tests.unit.codec.frame.reading import SMALL, read, refused

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
BOTH = pytest.mark.parametrize("media_type", [ARROW, PARQUET])


def written(table: pa.Table, media_type: str, **options: object) -> bytes:
    out = io.BytesIO()
    if media_type == PARQUET:
        pq.write_table(table, out, **options)
    else:
        with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as to:
            to.write_table(table)
    return out.getvalue()


def one(column: pa.Array | pa.ChunkedArray, media_type: str = ARROW) -> bytes:
    return written(pa.table({"a": column}), media_type)


KINDS = (
    "int8", "uint16", "int32", "int64", "uint64", "float32", "float64", "halffloat", "string",
    "large_string", "bool", "decimal128(5, 2)", "dictionary<string>",
)  # fmt: skip


@pytest.mark.parametrize(
    ("media_type", "kind"),
    # Only Arrow has dictionaries of numbers.
    [*product((ARROW, PARQUET), KINDS), (ARROW, "dictionary<int>")],
)
def test_numbers_of_every_kind_are_numbers(media_type: str, kind: str) -> None:
    values = [1, 0, None, 1]
    if kind.startswith("dictionary"):
        inner = pa.int64() if "int" in kind else pa.string()
        column = pa.array(values).cast(inner).dictionary_encode()
    elif kind.startswith("decimal"):
        column = pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(5, 2))
    elif kind == "halffloat":
        column = pa.array([None if v is None else np.float16(v) for v in values], pa.float16())
    else:
        column = pa.array(values).cast(kind)
    frame = read(one(column, media_type), media_type)
    assert frame.types == "B"
    np.testing.assert_array_equal(frame.numbers(0), [1, 0, np.nan, 1])


@BOTH
def test_infinities_are_missing(media_type: str) -> None:
    frame = read(one(pa.array([np.inf, -np.inf, np.nan, 2.5]), media_type), media_type)
    np.testing.assert_array_equal(frame.numbers(0), [np.nan, np.nan, np.nan, 2.5])


@BOTH
@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["x", None, "", " Y "]), ("x", None, None, " Y ")),
        (pa.array(["x", None, "x"]).dictionary_encode(), ("x", None, "x")),
        (pa.array([2**60 + 1, None]), (str(2**60 + 1), None)),
        (pa.array([1.0, 2.5, None]), ("1", "2.5", None)),
        (pa.array([True, None]), ("true", None)),
        (pa.array([Decimal("1.50")]), ("1.50",)),
        (pa.nulls(2), (None, None)),
    ],
)
def test_a_category_may_be_of_every_kind(
    media_type: str, column: pa.Array, texts: tuple[str | None, ...]
) -> None:
    assert read(one(column, media_type), media_type, attributetypes="T").texts(0) == texts


def test_batches_are_joined() -> None:
    table = pa.table({"a": pa.chunked_array([[1.0], [], [2.0, 3.0]]), "b": ["x", "y", "z"]})
    frame = read(written(table, ARROW), ARROW)
    assert frame.numbers(0).tolist() == [1, 2, 3]
    assert frame.texts(1) == ("x", "y", "z")


@BOTH
def test_a_file_without_rows_is_a_frame(media_type: str) -> None:
    frame = read(one(pa.array([], pa.float64()), media_type), media_type, attributeTypes="C")
    assert (frame.rows, frame.types) == (0, "C")


@BOTH
def test_a_column_of_dates_is_refused_unless_it_is_ignored(media_type: str) -> None:
    day = datetime.date(2026, 1, 1)
    table = pa.table({"day": [day], "list": [[1, 2]], "x": [1.0]})
    body = written(table, media_type)
    assert "row 1, column 1 (day): a cell of the type date32" in refused(body, media_type)
    frame = read(body, media_type, attributeTypes="XXC")
    assert frame.types == "XXC"
    assert frame.numbers(2).tolist() == [1.0]
    assert read(body, media_type, attributeTypes="CTC", errorHandling="1").types == "CTC"


@BOTH
def test_a_name_may_have_dots(media_type: str) -> None:
    table = pa.table({"sepal.length": [1.5], "sepal": ["x"], "sepal.width": [2.5]})
    frame = read(written(table, media_type), media_type)
    assert frame.names == ("sepal.length", "sepal", "sepal.width")
    assert frame.types == "CSC"


def test_a_nested_column_of_parquet_cannot_share_a_name_with_another() -> None:
    table = pa.table({"a": [{"b": 1}], "a.b": [2.0]})
    assert "nested" in refused(written(table, PARQUET), PARQUET, attributeTypes="XC")


def test_a_dictionary_may_use_every_index_of_its_type() -> None:
    dictionary = pa.array([str(n) for n in range(128)])
    indices = pa.array([*range(128), None], pa.int8())
    body = one(pa.DictionaryArray.from_arrays(indices, dictionary))
    limits = Limits(rows=200)
    np.testing.assert_array_equal(
        read(body, ARROW, limits=limits).numbers(0), [*range(128), np.nan]
    )


@BOTH
def test_a_bad_cell_is_named(media_type: str) -> None:
    body = one(pa.array(["1", "x"]), media_type)
    message = refused(body, media_type, attributeTypes="C")
    assert message == 'row 2, column 1 (a): "x" is not a number'


@BOTH
@pytest.mark.parametrize("cell", ["1e999", "1_0", "٣", "true"])
def test_texts_are_numbers_only_where_they_are_in_json(media_type: str, cell: str) -> None:
    body = one(pa.array(["1", cell]), media_type)
    message = refused(body, media_type, attributeTypes="C")
    assert message == f'row 2, column 1 (a): "{cell}" is not a number'


@BOTH
def test_other_bytes_are_refused(media_type: str) -> None:
    good = one(pa.array([1.0] * 50), media_type)
    for body in (b"", b"PAR1", b"\xff" * 40, good[: len(good) // 2], good[:-9]):
        assert refused(body, media_type).startswith("body: this is no ")


@BOTH
def test_two_columns_of_one_name_are_refused(media_type: str) -> None:
    body = written(pa.table([pa.array([1.0]), pa.array([2.0])], names=["a", "a"]), media_type)
    assert 'columns 1 and 2 are both named "a"' in refused(body, media_type)


@BOTH
@pytest.mark.parametrize(
    ("table", "what"),
    [
        (pa.table({"a": [1.0] * 4}), "rows"),
        (pa.table({name: [1.0] for name in "abc"}), "columns"),
        (pa.table({name: [1.0] * 3 for name in "ab"}), "cells"),
    ],
)
def test_bounds_hold(media_type: str, table: pa.Table, what: str) -> None:
    limits = Limits(rows=3, columns=2, cells=5)
    assert refused(written(table, media_type), media_type, limits=limits).startswith(f"{what}: ")


@BOTH
def test_a_server_without_pyarrow_says_what_to_install(
    media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = one(pa.array([1.0]), media_type)
    for name in ("pyarrow", "pyarrow.parquet", "pyarrow.ipc"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install 'tally[arrow]'" in refused(body, media_type)


def test_many_rows_of_nothing_are_refused() -> None:
    """A column of nulls takes no bytes, so only its number of rows bounds it."""
    body = one(pa.nulls(4321))
    many = body.replace(struct.pack("<q", 4321), struct.pack("<q", 1 << 40))
    assert many != body
    assert refused(many, ARROW) == f"rows: {1 << 40} of them; at most 100 in one frame"


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_buffers_are_refused_before_they_are_made(codec: str) -> None:
    body = bytearray(written(pa.table({"a": np.zeros(1000)}), ARROW, compression=codec))
    declared = body.find(struct.pack("<q", 8000), len(body) // 2)
    body[declared : declared + 8] = struct.pack("<q", 1 << 40)
    assert "Content-Encoding: zstd" in refused(bytes(body), ARROW)


@pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip", "lz4", "brotli", "none"])
def test_parquet_codecs_are_read(codec: str) -> None:
    body = written(pa.table({"a": [1.5] * 50}), PARQUET, compression=codec)
    assert read(body, PARQUET).numbers(0).tolist() == [1.5] * 50


def test_a_parquet_file_that_would_be_too_large_is_refused_by_its_metadata() -> None:
    body = written(pa.table({"a": ["x" * 300_000]}), PARQUET, compression="zstd")
    assert len(body) < 2000
    assert refused(body, PARQUET, limits=SMALL).startswith("columns: ")


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_page_that_asks_for_more_than_the_metadata_say_is_refused(
    version: str, dictionary: bool
) -> None:
    """The file says twice how large its column is; here the footer does not tell the truth."""
    size = 300_000
    body = written(
        pa.table({"a": ["x" * size]}),
        PARQUET,
        compression="zstd",
        data_page_version=version,
        use_dictionary=dictionary,
        write_statistics=False,
    )
    # The footer's numbers are larger than the page's, by its header: each is replaced alone.
    footer = len(body) - 8 - struct.unpack("<I", body[-8:-4])[0]
    pages, rest = body[:footer], body[footer:]
    for number in range(size, size + 200):
        rest = rest.replace(_varint(2 * number), _varint(2 * 20_000))
    assert pq.ParquetFile(pa.BufferReader(pages + rest)).metadata.row_group(0).total_byte_size < (
        SMALL.decompressed_bytes
    )
    assert refused(pages + rest, PARQUET).startswith("columns: 300")


def test_a_long_text_in_many_rows_is_read_once() -> None:
    text = "x" * 10_000
    limits = Limits(decompressed_bytes=100_000)
    body = one(pa.array([text] * 5000).dictionary_encode(), PARQUET)
    texts = read(body, PARQUET, limits=limits).texts(0)
    assert len(texts) == 5000
    assert all(value is texts[0] for value in texts)


def _varint(number: int) -> bytes:
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])
