"""Bodies of rows decoded into columns; Python's json and numpy on the JSON body are the measure."""

from __future__ import annotations

import gc
import io
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bodies import ARROW, as_arrow, as_json, as_texts, names
from benchmarks.rows import Row, Spread
from tally.codec.frame import Limits, decode

_ROWS, _COLUMNS = 10_000, 15
_AGAINST = "json.loads and numpy.array(dtype=float), JSON of the same numbers as texts"
_AIM = 2.0
_PARQUET = "application/vnd.apache.parquet"
_GAPS = 0.01
_COLORS = ("red", "green", "blue")


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about decoding."""
    values = np.random.default_rng(1).normal(0, 100, (_ROWS, _COLUMNS)).round(6)
    texts = as_texts(values)
    whole = _json(texts)
    cases: dict[str, tuple[bytes, str, bool]] = {
        "JSON of texts": (whole, "", True),
        "JSON of texts, one cell of a hundred empty": (_json(_with_gaps(texts)), "", True),
        "JSON of texts, the last column a category": (_json(_with_category(texts)), "", True),
        "JSON of numbers": (_json(values.tolist()), "", False),
        "CSV": (_csv(texts), "text/csv", False),
    }
    cases |= _columnar(values)
    taken: dict[str, list[float]] = {name: [] for name in cases}
    plain: list[float] = []
    for _ in range(3 if quick else 15):
        # In turn, so that whatever else the machine does meets all of them.
        plain.append(_seconds(lambda: np.array(json.loads(whole)["data"], dtype=float)))
        for name, (body, media_type, _) in cases.items():
            taken[name].append(_seconds(partial(_decode, body, media_type)))
    return [_row(name, taken[name], plain, aimed=cases[name][2]) for name in cases]


def _row(name: str, ours: list[float], theirs: list[float], *, aimed: bool) -> Row:
    mine, other = Spread.of(ours), Spread.of(theirs)
    ratio = float(f"{other.median / mine.median:.3g}")
    return Row(
        name=f"decode {_ROWS} rows of {_COLUMNS} columns, {name}",
        unit="s",
        against=_AGAINST,
        ours=mine,
        theirs=other,
        value=ratio,
        value_unit="times as fast",
        aim=f"at least {_AIM:g}" if aimed else "",
        met=ratio >= _AIM if aimed else None,
    )


def _decode(body: bytes, media_type: str) -> object:
    return decode(
        body, media_type=media_type, content_encoding="", query={}, known={}, limits=Limits()
    )


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.process_time()  # one thread each, so this is what an idle machine would take
    work()
    return time.process_time() - start


def _json(rows: Sequence[Sequence[object]]) -> bytes:
    last = rows[0][-1]
    return as_json(rows, "C" * (_COLUMNS - 1) + ("T" if last in _COLORS else "C"))


def _with_category(rows: list[list[str]]) -> list[list[str]]:
    return [[*row[:-1], _COLORS[place % 3]] for place, row in enumerate(rows)]


def _with_gaps(rows: list[list[str]]) -> list[list[str]]:
    gaps = np.random.default_rng(2).random((_ROWS, _COLUMNS)) < _GAPS
    return [
        ["" if gap else cell for cell, gap in zip(row, flags, strict=True)]
        for row, flags in zip(rows, gaps.tolist(), strict=True)
    ]


def _csv(rows: list[list[str]]) -> bytes:
    return "\n".join(",".join(row) for row in [names(_COLUMNS), *rows]).encode()


def _columnar(values: NDArray[np.float64]) -> dict[str, tuple[bytes, str, bool]]:
    stream = as_arrow(values)
    if stream is None:
        return {}
    pa: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    file = io.BytesIO()
    parquet.write_table(pa.table(dict(zip(names(_COLUMNS), values.T, strict=True))), file)
    return {
        "Arrow stream": (stream, ARROW, False),
        "Parquet": (file.getvalue(), _PARQUET, False),
    }
