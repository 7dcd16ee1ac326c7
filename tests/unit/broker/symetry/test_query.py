from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.edge.symetry.query import MAX_QUERY_BYTES, Query
from tally.wire.status import Refused


@pytest.mark.parametrize("sent", [b"newName=b", b"NEWNAME=b", b"rename=b", b"Rename=b&x=1"])
def test_a_parameter_is_found_by_each_of_its_spellings(sent: bytes) -> None:
    assert Query(sent).text("newName") == "b"


def test_a_plus_is_a_space_and_percent_signs_are_decoded() -> None:
    assert Query(b"metric=a+b%2Bc%C3%A9").text("metric") == "a b+cé"


def test_of_a_name_that_comes_twice_the_last_counts() -> None:
    assert Query(b"a=1&A=2").text("a") == "2"


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (b"", True),
        (b"async=", True),
        (b"async=FALSE", False),
        (b"async=0", False),
        (b"ASYNC=1", True),
    ],
)
def test_a_flag(sent: bytes, value: bool) -> None:
    assert Query(sent).flag("async", default=True) is value


def test_what_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(Refused, match=r"\[async\] is not true or false: \[yes\]"):
        Query(b"async=yes").flag("async", default=True)


@pytest.mark.parametrize("sent", [b"", b"pid=", b"pod=a"])
def test_a_parameter_that_is_needed_is_named(sent: bytes) -> None:
    with pytest.raises(Refused, match=r"^Missing parameter \[pid\]$"):
        Query(sent).needed("pid")


def test_what_goes_on_to_the_home_has_the_names_of_the_documents() -> None:
    query = Query(b"METRIC=uni&secret=1&returnprojectinfo=false")
    assert query.chosen(("metric", "returnProjectInfo", "useLocal")) == {
        "metric": "uni",
        "returnProjectInfo": "false",
    }


def test_a_query_that_is_too_long_is_refused() -> None:
    Query(b"a" * MAX_QUERY_BYTES)
    with pytest.raises(Refused):
        Query(b"a" * (MAX_QUERY_BYTES + 1))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_query(sent: bytes) -> None:
    assert Query(sent).chosen(["pid"]).keys() <= {"pid"}
