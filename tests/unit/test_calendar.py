from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.calendar import Frequency, following, infer, parse_moment
from tally.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("D", Frequency(seconds=86400)),
        ("d", Frequency(seconds=86400)),
        ("2W", Frequency(seconds=1209600)),
        ("15min", Frequency(seconds=900)),
        ("H", Frequency(seconds=3600)),
        ("s", Frequency(seconds=1)),
        ("M", Frequency(months=1)),
        ("MS", Frequency(months=1)),
        ("Q", Frequency(months=3)),
        ("Y", Frequency(months=12)),
        ("P1D", Frequency(seconds=86400)),
        ("PT1H30M", Frequency(seconds=5400)),
        ("P1M", Frequency(months=1, same_day=True)),
        ("P1Y6M", Frequency(months=18, same_day=True)),
    ],
)
def test_frequencies_are_read(text: str, expected: Frequency) -> None:
    assert Frequency.parse(text) == expected
    assert Frequency.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "x", "0D", "P", "PT", "P1M1D", "-1D", "1.5h", "D" * 99])
def test_what_is_no_frequency_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput, match="frequency"):
        Frequency.parse(text)


def test_the_end_of_a_month_stays_the_end() -> None:
    dates = following("2024-01-31", Frequency(months=1), 0, 4)
    assert dates == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]


def test_an_iso_duration_keeps_the_day_of_the_month() -> None:
    dates = following("2024-04-30", Frequency.parse("P1M"), 0, 3)
    assert dates == ["2024-04-30", "2024-05-30", "2024-06-30"]
    dates = following("2024-04-30", Frequency.parse("M"), 0, 3)
    assert dates == ["2024-04-30", "2024-05-31", "2024-06-30"]


@pytest.mark.parametrize(
    ("stamps", "following_date"),
    [
        (["2023-02-28", "2023-03-31", "2023-04-30"], "2023-05-31"),
        (["2023-02-28", "2023-03-28", "2023-04-28"], "2023-05-28"),
        (["2023-02-01", "2023-03-01", "2023-03-29"], "2023-04-26"),
        (["2024-04-30", "2024-05-30", "2024-06-30"], "2024-07-30"),
        (["2023-12-31", "2024-03-31", "2024-06-30"], "2024-09-30"),
        (["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28"], "2028-02-29"),
        (["2020-01-01", "2024-01-02"], "2028-01-03"),
    ],
    ids=["ends", "28th", "four weeks", "30th", "quarter ends", "leap day", "four years"],
)
def test_what_fits_all_timestamps_is_meant(stamps: list[str], following_date: str) -> None:
    _, found = infer(stamps)
    again = Frequency.parse(str(found))
    assert again == found
    assert following(stamps[0], again, len(stamps), 1) == [following_date]


def test_the_thirtieth_is_not_taken_for_the_end() -> None:
    dates = following("2024-01-30", Frequency(months=1), 0, 3)
    assert dates == ["2024-01-30", "2024-02-29", "2024-03-30"]


def test_a_utc_offset_is_kept() -> None:
    dates = following("2024-12-31T23:00:00+02:00", Frequency(seconds=3600), 0, 2)
    assert dates == ["2024-12-31T23:00:00+02:00", "2025-01-01T00:00:00+02:00"]


@given(
    start=st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(
        lambda moment: moment.replace(microsecond=0)
    ),
    frequency=st.sampled_from(
        [Frequency(seconds=s) for s in (1, 900, 3600, 86400, 604800)]
        + [Frequency(months=m, same_day=d) for m in (1, 3, 12) for d in (False, True)]
    ),
    count=st.integers(2, 40),
)
def test_regular_timestamps_are_recognised(
    start: datetime, frequency: Frequency, count: int
) -> None:
    stamps = [frequency.step(start, i).isoformat() for i in range(count)]
    found_start, found = infer(stamps)
    assert found_start == start
    assert Frequency.parse(str(found)) == found
    assert [found.step(start, i).isoformat() for i in range(count)] == stamps


@pytest.mark.parametrize(
    ("stamps", "place"),
    [
        (["2024-01-01"], "timestamps"),
        (["2024-01-01", "2024-01-01"], "timestamps[1]"),
        (["2024-01-02", "2024-01-01"], "timestamps[1]"),
        (["2024-01-01", "2024-01-02", "2024-01-04"], "timestamps[2]"),
        (["2024-01-01", "2024-01-02", "yesterday"], "timestamps[2]"),
        (["2024-01-01", "2024-01-02T00:00:00+00:00"], "timestamps"),
        ([0, 60, 121], "timestamps[2]"),
        ([0, True], "timestamps[1]"),
    ],
)
def test_irregular_timestamps_are_refused_by_index(stamps: list[object], place: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        infer(stamps)
    assert refused.value.field == place


def test_seconds_since_1970_are_read() -> None:
    assert parse_moment("start", 86400) == datetime(1970, 1, 2, tzinfo=UTC)
    with pytest.raises(InvalidInput, match="start"):
        parse_moment("start", 1e30)


def test_dates_past_the_year_9999_are_refused() -> None:
    with pytest.raises(InvalidInput, match="9999"):
        following("9999-12-30", Frequency(seconds=86400), 0, 5)
