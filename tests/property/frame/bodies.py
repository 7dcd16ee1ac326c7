"""Random tables, and each of the bodies that can carry them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from tally.codec.frame import Limits, decode
from tally.engine.frame import Frame

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
LIMITS = Limits(rows=1000, columns=50, cells=10_000, decompressed_bytes=1 << 20)

Cell = float | str | None


@dataclass(frozen=True)
class Sheet:
    """A table before it is written: its letters may be sent or left to be guessed."""

    names: list[str]
    letters: str
    columns: list[list[Cell]]

    @property
    def rows(self) -> list[list[Cell]]:
        return [list(row) for row in zip(*self.columns, strict=True)]


def as_json(sheet: Sheet, *, letters: bool, texts: bool) -> bytes:
    rows = [[written(cell) if texts else cell for cell in row] for row in sheet.rows]
    types = {"attributeTypes": list(sheet.letters)} if letters else {}
    return json.dumps({"attributeNames": sheet.names, **types, "data": rows}).encode()


def as_csv(sheet: Sheet, *, quote: bool = False) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL)
    writer.writerow(sheet.names)
    writer.writerows([[written(cell) for cell in row] for row in sheet.rows])
    return out.getvalue().encode()


def as_arrow(table: pa.Table, batch_rows: int | None = None) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return out.getvalue()


def as_parquet(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def as_table(sheet: Sheet, *, dictionaries: bool = False) -> pa.Table:
    columns = []
    for letter, cells in zip(sheet.letters, sheet.columns, strict=True):
        column = pa.array(cells, pa.float64() if letter in "CB" else pa.string())
        columns.append(column.dictionary_encode() if dictionaries else column)
    return pa.table(columns, names=sheet.names)


def written(cell: Cell) -> str:
    return "" if cell is None else cell if isinstance(cell, str) else repr(cell)


def read(body: bytes, media_type: str = "application/json", **query: str) -> Frame:
    return decode(
        body, media_type=media_type, content_encoding="", query=query, known={}, limits=LIMITS
    )


_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_OF = {
    "C": st.one_of(st.none(), _FLOATS, st.integers(-1000, 1000).map(float)),
    "B": st.sampled_from([None, 0.0, 1.0]),
    "T": st.one_of(st.none(), _WORDS),
    "S": st.one_of(st.none(), _WORDS),
}


@st.composite
def sheets(draw: st.DrawFn) -> Sheet:
    letters = draw(st.text("CBTS", min_size=1, max_size=5))
    names = draw(
        st.lists(
            _WORDS.filter(lambda name: name.strip()),
            min_size=len(letters),
            max_size=len(letters),
            unique=True,
        )
    )
    count = draw(st.integers(1, 8))
    columns = [draw(st.lists(_OF[letter], min_size=count, max_size=count)) for letter in letters]
    return Sheet(names, letters, columns)
