from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.edge.bodies import CheckedFit, parse_fit, read_body, whole
from tally.codec.series import pack
from tally.errors import InvalidInput, TooLarge

MAX = 1000
DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
MAX_FLOAT = 1.7976931348623157e308


def fit(**body: object) -> CheckedFit:
    return parse_fit(json.dumps({"data": [1.0, 2.0, 4.0]} | body).encode(), MAX)


def refused(body: bytes, max_values: int = MAX) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_fit(body, max_values)
    return caught.value


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        (b"", "body", "not JSON"),
        (b"data=1", "body", "not JSON"),
        (b"\xff\xfe", "body", "not JSON"),
        (b'{"data":["\xff"]}', "data[0]", "Expected `float`, got `str`"),
        (b'{"data":[1],"start":"\xff","frequency":"D"}', "body", "not JSON"),
        (b'\xef\xbb\xbf{"data":[1]}', "body", "not JSON"),
        (b'{"data":[1,2', "body", "not JSON"),
        (b'{"data":[1]} x', "body", "not JSON"),
        (b"null", "body", "Expected `object`, got `null`"),
        (b"[1,2]", "body", "Expected `object`, got `array`"),
        (b"{}", "body", "missing required field `data`"),
        (b'{"":[1]}', '""', "no such field"),
        (b'{"date":[1]}', "date", "no such field; the fields are data, timestamps"),
        (b'{"data":null}', "data", "Expected `array`, got `null`"),
        (b'{"data":"1,2"}', "data", "Expected `array`, got `str`"),
        (b'{"data":[]}', "data", "empty"),
        (b'{"data":[1,"x",3]}', "data[1]", '"x": Expected `float`, got `str`'),
        (b'{"data":[1,null]}', "data[1]", "Expected `float`, got `null`"),
        (b'{"data":[1,[2]]}', "data[1]", "Expected `float`, got `array`"),
        (b'{"data":[1,true]}', "data[1]", "Expected `float`, got `bool`"),
        (b'{"data":[1,NaN]}', "data[1]", "NaN is not a finite number"),
        (b'{"data":[1,-Infinity]}', "data[1]", "-Infinity is not a finite number"),
        (b'{"data":[1],"algorithm":"magic"}', "algorithm", "'magic' is not one of auto"),
        (b'{"data":[1],"algorithm":7}', "algorithm", "Expected `str`, got `int`"),
        (b'{"data":[1],"period":0}', "period", "0 is not between 1 and"),
        (b'{"data":[1],"period":-3}', "period", "-3 is not between 1 and"),
        (b'{"data":[1],"period":1000001}', "period", "1000001 is not between"),
        (b'{"data":[1],"period":2.5}', "period", "Expected `int | null`"),
        (b'{"data":[1,2,3],"period":2}', "data", "3 values are too short for period 2"),
        (b'{"data":[1],"options":{"pears":2}}', "options.pears", "no such option"),
        (b'{"data":[1],"options":{"pairs":51}}', "options.pairs", "51 is not between 0 and 50"),
        (b'{"data":[1],"options":{"pairs":"4"}}', "options.pairs", "'4' is not a whole number"),
        (b'{"data":[1],"options":{"pairs":true}}', "options.pairs", "True is not a whole"),
        (b'{"data":[1],"options":{"pairs":[4]}}', "options[...]", "got `array`"),
        (b'{"data":[1],"options":[]}', "options", "Expected `object`, got `array`"),
        (b'{"data":[1],"min_skill":1}', "min_skill", "1.0 is not a number below 1"),
        (b'{"data":[1],"min_skill":"high"}', "min_skill", "Expected `float | null`"),
        (b'{"data":[1],"start":"2024-01-01"}', "frequency", "missing"),
        (b'{"data":[1],"frequency":"D"}', "start", "missing"),
        (b'{"data":[1],"start":"soon","frequency":"D"}', "start", "'soon' is not an ISO 8601"),
        (b'{"data":[1],"start":1e300,"frequency":"D"}', "start", "not a number of seconds"),
        (b'{"data":[1],"start":"2024-01-01","frequency":"often"}', "frequency", "'often'"),
        (b'{"data":[1],"start":"2024-01-01","frequency":"0D"}', "frequency", "'0D'"),
        (b'{"data":[1,2],"start":"9999-12-31","frequency":"D"}', "steps", "past the year 9999"),
        (b'{"data":[1,2],"timestamps":["2024-01-01"]}', "timestamps", "1 timestamps for 2 values"),
        (b'{"data":[1],"timestamps":["2024-01-01"]}', "timestamps", "at least two"),
        (
            b'{"data":[1,2],"timestamps":["2024-01-02","2024-01-01"]}',
            "timestamps[1]",
            "after the first",
        ),
        (
            b'{"data":[1,2,3],"timestamps":["2024-01-01","2024-01-02","2024-01-04"]}',
            "timestamps[2]",
            "expected 2024-01-03",
        ),
        (
            b'{"data":[1,2],"timestamps":["2024-01-01","2024-01-02T00:00:00Z"]}',
            "timestamps",
            "some have a UTC offset",
        ),
        (
            b'{"data":[1,2],"timestamps":["2024-01-01","2024-01-02"],"start":"2024-01-01"}',
            "timestamps",
            "not both",
        ),
    ],
)
def test_bad_input_is_refused_by_field_and_value(body: bytes, field: str, sentence: str) -> None:
    error = refused(body)
    assert error.field == field
    assert sentence in str(error)


def test_numbers_beyond_float64_are_refused_and_not_infinite() -> None:
    for number in (b"1e309", b"-1e999", b"9" * 400):
        error = refused(b'{"data":[1,' + number + b"]}")
        assert error.field in ("body", "data[1]"), number


def test_more_values_than_allowed_are_refused_by_their_number() -> None:
    assert "4 values are more than the 3" in str(refused(b'{"data":[1,2,3,4]}', max_values=3))


def test_deep_nesting_is_refused() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"data":', b"}")):
        body = b'{"data":' + opening * 100_000 + b"1" + closing * 100_000 + b"}"
        assert refused(body).field in ("body", "data", "data[0]", "data[...]")
    deep = b'{"data":[1],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert refused(deep).field in ("body", "x")


def test_the_last_of_duplicate_keys_counts_as_in_every_json_reader() -> None:
    assert parse_fit(b'{"data":[1],"data":[2,3]}', MAX).payload == pack([2.0, 3.0])


def test_ten_million_values_are_refused_quickly_by_their_number() -> None:
    body = b'{"data":[' + b"1," * 9_999_999 + b"1]}"
    began = time.monotonic()
    error = refused(body, max_values=1_000_000)
    assert isinstance(error, TooLarge)
    assert error.field == "data"
    assert "more values than the 1000000 of TALLY_MAX_VALUES" in str(error)
    assert time.monotonic() - began < 5


async def test_a_body_over_the_limit_is_refused_before_it_is_whole() -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"x" * 1000

    with pytest.raises(TooLarge, match="10000 bytes of TALLY_MAX_BODY_BYTES"):
        await read_body(endless(), 10_000)
    assert given == 11


@pytest.mark.parametrize(
    "data",
    [[5.0] * 20, [1e308, -1e308, MAX_FLOAT], [0.0, -0.0, 5e-324], [1], [2**53, 10**300]],
)
def test_constant_and_extreme_finite_series_are_taken_as_they_are(data: list[float]) -> None:
    assert fit(data=data).payload == pack([float(value) for value in data])


@pytest.mark.parametrize(
    ("body", "start", "frequency"),
    [
        ({}, "", ""),
        ({"timestamps": DAYS}, "2024-01-01", "PT86400S"),
        ({"start": "2024-01-31", "frequency": "M"}, "2024-01-31", "1M"),
        ({"start": 0, "frequency": "h"}, "1970-01-01T00:00:00+00:00", "PT3600S"),
        (
            {"start": "2024-01-01T06:00:00+02:00", "frequency": "15min"},
            "2024-01-01T06:00:00+02:00",
            "PT900S",
        ),
    ],
)
def test_the_time_axis_becomes_a_start_and_a_frequency(
    body: dict[str, object], start: str, frequency: str
) -> None:
    request = fit(**body).request
    assert (request.start, request.frequency) == (start, frequency)


def test_options_that_are_not_given_are_written_down_with_their_defaults() -> None:
    assert fit(options={"pairs": 2}).request.options == {"pairs": 2, "ar_order": 7, "trend": True}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
fields = st.fixed_dictionaries(
    {"data": st.lists(st.floats() | st.integers(), max_size=6) | json_values},
    optional={
        "timestamps": st.lists(st.floats() | st.sampled_from(DAYS) | st.text(max_size=12))
        | json_values,
        "start": st.sampled_from(["2024-01-31", "9999-12-31", "0001-01-01T00:00+23:59"])
        | json_values,
        "frequency": st.sampled_from(["D", "15min", "P9999Y", "999999Y", "PT99999999S"])
        | json_values,
        "algorithm": st.sampled_from(["auto", "harmonic_ar", "seasonal_naive", "ets"])
        | json_values,
        "period": st.integers() | json_values,
        "options": st.dictionaries(st.sampled_from(["pairs", "trend", "p"]), json_values)
        | json_values,
        "min_skill": st.floats() | json_values,
    },
)


@given(fields)
@example({"data": [1, 2], "timestamps": ["0001-01-01T00:00+23:59", "9999-12-31T00:00-23:59"]})
@example({"data": [1, 2], "timestamps": [-1e10, 1e11]})
def test_any_json_is_checked_or_refused_and_nothing_else(body: dict[str, object]) -> None:
    checked_or_refused(json.dumps(body).encode())


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_checked_or_refused_and_nothing_else(body: bytes) -> None:
    checked_or_refused(body)


def checked_or_refused(body: bytes) -> None:
    refusal: InvalidInput | None = None
    try:
        checked = parse_fit(body, MAX)
    except InvalidInput as error:
        refusal = error
    if refusal is None:
        assert len(checked.payload) == 8 * checked.request.values > 0
    else:
        assert refusal.field
        assert str(refusal).startswith(f"{refusal.field}: ")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_every_finite_value_arrives_bit_for_bit(data: list[float]) -> None:
    assert fit(data=data).payload == pack(data)


@pytest.mark.parametrize(
    "text", ["0", "-1", "1000000000", "abc", "", "1.0", "1e3", " 1", "+1", "٣", "1_0", "9" * 5000]
)
def test_what_is_no_whole_number_in_bounds_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^steps: .* is not a whole number from 1 to 100"):
        whole("steps", text, 1, 100)
