from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.edge.prefer import Preferences, preferences


@pytest.mark.parametrize(
    ("headers", "meant"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async, WAIT=5"], Preferences(respond_async=True, wait_s=5)),
        (["wait = 5 ; for=me", "wait=9, respond-async"], Preferences(True, 5)),
        (['wait="7"'], Preferences(wait_s=7)),
        (["return=minimal, handling=lenient"], Preferences()),
        (["wait=-1"], Preferences()),
        (["wait=1.5"], Preferences()),
        (["wait=" + "9" * 400], Preferences()),
        (["wait=٣"], Preferences()),
        (["not-respond-async"], Preferences()),
    ],
)
def test_what_is_preferred_is_understood_and_the_rest_left_aside(
    headers: list[str], meant: Preferences
) -> None:
    assert preferences(headers) == meant


@given(st.lists(st.text()))
def test_no_header_is_an_error(headers: list[str]) -> None:
    preferences(headers)


@pytest.mark.parametrize(
    ("preferred", "patience_s"),
    [
        (Preferences(), 60.0),
        (Preferences(respond_async=True), 0.0),
        (Preferences(respond_async=True, wait_s=5), 5.0),
        (Preferences(wait_s=0), 0.0),
        (Preferences(wait_s=300), 60.0),
    ],
)
def test_nobody_waits_longer_than_the_broker_allows(
    preferred: Preferences, patience_s: float
) -> None:
    assert preferred.patience_s(60.0) == patience_s
