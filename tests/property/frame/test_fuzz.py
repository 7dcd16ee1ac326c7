"""Whatever arrives as a body gives a frame or `InvalidInput`, and nothing else."""

from __future__ import annotations

import gzip

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tally.codec.frame import decode
from tally.engine.frame import Frame
from tally.errors import InvalidInput
from tests.property.frame.bodies import (
    ARROW,
    LIMITS,
    PARQUET,
    Sheet,
    as_arrow,
    as_csv,
    as_json,
    as_parquet,
    as_table,
)

MEDIA_TYPES = ["application/json", "text/csv", ARROW, PARQUET]
SLOW = settings(max_examples=300)

_SHEET = Sheet(
    ["amount", "late", "region"],
    "CBT",
    [[1.5, None, -2.25, 1e300], [0.0, 1.0, None, 1.0], ["North", None, "south", 'né\n,"']],
)
_TABLE = as_table(_SHEET)
VALID = {
    "application/json": as_json(_SHEET, letters=True, texts=True),
    "text/csv": as_csv(_SHEET),
    ARROW: as_arrow(as_table(_SHEET, dictionaries=True)),
    PARQUET: as_parquet(_TABLE, compression="zstd"),
}
MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 4000),
        st.sampled_from(["set", "cut", "repeat", "insert"]),
        st.binary(max_size=9),
    ),
    min_size=1,
    max_size=4,
)


def outcome(body: bytes, media_type: str, encoding: str = "", **query: str) -> Frame | None:
    try:
        frame = decode(
            body,
            media_type=media_type,
            content_encoding=encoding,
            query=query,
            known={"late": "B"},
            limits=LIMITS,
        )
    except InvalidInput:
        return None
    assert len(frame.names) == len(frame.types) == len(frame.columns)
    assert {len(column) for column in frame.columns} <= {frame.rows}
    return frame


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_the_bodies_that_are_mutated_below_are_valid(media_type: str) -> None:
    frame = outcome(VALID[media_type], media_type, attributeTypes="CBT")
    assert frame is not None
    assert frame.rows == 4


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@SLOW
@given(body=st.binary(max_size=200), lenient=st.booleans())
def test_any_bytes_are_a_frame_or_refused(media_type: str, body: bytes, lenient: bool) -> None:
    outcome(body, media_type, errorHandling=str(int(lenient)))


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@SLOW
@given(mutations=MUTATIONS, lenient=st.booleans())
def test_a_damaged_body_is_a_frame_or_refused(
    media_type: str, mutations: list[tuple[int, str, bytes]], lenient: bool
) -> None:
    body = VALID[media_type]
    for place, how, inserted in mutations:
        body = mutated(body, place, how, inserted)
    outcome(body, media_type, errorHandling=str(int(lenient)))


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "gzip, zstd", "br", "identity"])
@SLOW
@given(mutations=MUTATIONS)
def test_damaged_encodings_are_refused(
    encoding: str, mutations: list[tuple[int, str, bytes]]
) -> None:
    body = VALID["application/json"]
    for name in encoding.split(", "):
        if name == "gzip":
            body = gzip.compress(body, mtime=0)
        elif name == "zstd":
            body = zstandard.compress(body)
    for place, how, inserted in mutations:
        body = mutated(body, place, how, inserted)
    outcome(body, "application/json", encoding)


@SLOW
@given(
    text=st.text(
        st.sampled_from('{}[]",:0123456789.eE-+ NaInfitytruels\\ud8ab"attributeNames"data'),
        max_size=80,
    )
)
def test_what_looks_like_json_is_a_frame_or_refused(text: str) -> None:
    outcome(text.encode(), "")
    outcome(b'{"attributeNames":["a","b"],"data":[' + text.encode() + b"]}", "")


def mutated(body: bytes, place: int, how: str, inserted: bytes) -> bytes:
    at = place % (len(body) + 1)
    if how == "cut":
        return body[:at]
    if how == "repeat":
        return body[:at] + body[at // 2 :]
    return body[:at] + inserted + body[at + (len(inserted) if how == "set" else 0) :]
