from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.edge.auth import Tokens
from broker.edge.forecast import ForecastRoute
from broker.routing.forward import Forwarder, Question
from tally.errors import InvalidInput


class NoForwarder:
    """Nobody is asked: only what a request means is looked at here."""


ROUTE = ForecastRoute(cast(Forwarder, NoForwarder()), Tokens(""), max_steps=1000)


def scope(path: str, query: str = "", method: str = "GET") -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "query_string": query.encode()}


def question(path: str, query: str = "", at_least: bytes | None = None) -> Question:
    asked = scope(path, query)
    match = ROUTE.matches(asked)
    assert match is not None
    return ROUTE._question(match, asked["query_string"], at_least)


@pytest.mark.parametrize(
    ("path", "method", "ours"),
    [
        ("/api/forecast/5", "GET", True),
        ("/api/forecast/5", "HEAD", True),
        ("/api/forecast/abc", "GET", True),
        ("/api/models/m/forecast/5", "GET", True),
        ("/api/forecast/5", "POST", False),
        ("/api/forecast/", "GET", False),
        ("/api/forecast/5/", "GET", False),
        ("/api/forecast/5/6", "GET", False),
        ("/api/models/m/n/forecast/5", "GET", False),
        ("/api/models/m", "GET", False),
    ],
)
def test_only_forecast_calls_take_the_short_way(path: str, method: str, ours: bool) -> None:
    assert (ROUTE.matches(scope(path, method=method)) is not None) is ours


def test_everything_that_can_be_asked() -> None:
    asked = question(
        "/api/models/shop/forecast/7",
        "level=95,80,80&timestamps=true&version=3&include=version",
        b"2",
    )
    assert asked == Question("shop", 7, (80.0, 95.0), True, True, 3, 2)


def test_nothing_asked_is_the_default_model_as_it_is_served() -> None:
    assert question("/api/forecast/7") == Question("default", 7)


@pytest.mark.parametrize("steps", ["0", "-1", "1000000000", "abc", "1001", "1.5", "٣", "1e2"])
def test_steps_out_of_bounds_are_named(steps: str) -> None:
    with pytest.raises(InvalidInput, match=r"^steps: .* is not a whole number from 1 to 1000"):
        question(f"/api/forecast/{steps}")


@pytest.mark.parametrize("name", [".hidden", "a b", "ü", "x" * 129, "%61"])
def test_what_can_be_no_model_is_named(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^name: "):
        question(f"/api/models/{name}/forecast/5")


BAD: Mapping[str, str] = {
    "level=": "level",
    "level=0": "level",
    "level=100": "level",
    "level=-5": "level",
    "level=nan": "level",
    "level=inf": "level",
    "level=80,,95": "level",
    "level=80;95": "level",
    "level=99.9999999": "level",
    "level=" + ",".join(str(level) for level in range(1, 12)): "level",
    "timestamps=yes": "timestamps",
    "timestamps=": "timestamps",
    "version=0": "version",
    "version=latest": "version",
    "version=": "version",
    "version=1000000000000": "version",
    "include=everything": "include",
}


@pytest.mark.parametrize(("query", "field"), BAD.items())
def test_a_query_that_cannot_be_used_is_named(query: str, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}: "):
        question("/api/forecast/5", query)


@pytest.mark.parametrize("header", [b"0", b"-1", b"new", b"", b"1.0", b"\xff", b"9" * 30])
def test_a_least_version_that_is_no_version_is_named(header: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^X-Min-Model-Version: "):
        question("/api/forecast/5", at_least=header)


@given(st.text(max_size=40), st.binary(max_size=12))
def test_any_query_is_a_question_or_is_refused(query: str, header: bytes) -> None:
    given = scope("/api/forecast/5", "")
    match = ROUTE.matches(given)
    assert match is not None
    for text in (query.encode(), b"level=" + query.encode(), b"version=" + query.encode()):
        try:
            asked = ROUTE._question(match, text, header or None)
        except InvalidInput:
            continue
        assert len(asked.levels) <= 10
        assert all(0 < level < 100 for level in asked.levels)
        assert all(float(f"{level:g}") == level for level in asked.levels)
