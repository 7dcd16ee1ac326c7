from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.edge.symetry.paths import find
from broker.edge.symetry.routes import ROUTES, Action, Route

BASE = b"/symetry/rest/c1/"


def found(path: bytes, method: str) -> Route | None:
    return find(BASE + path).route(method)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_found_with_and_without_a_slash_at_its_end(route: Route) -> None:
    path = route.path.replace("{pid}", "a-project").replace("{modelid}", "m").encode()
    path = path.replace(b"{jobid}", b"7")
    for end in (b"", b"/"):
        where = find(BASE + path + end)
        assert where.route(route.method) is route
        assert where.cid == "c1"
        assert set(where.values.values()) <= {"a-project", "m", "7"}


def test_no_two_routes_have_the_same_method_and_path() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_words_win_over_project_ids() -> None:
    for word in (b"list", b"info", b"dataDrift"):
        assert "pid" not in find(BASE + b"projects/" + word).values
    for path in (b"projects/fusion", b"projects/dsbrowse", b"projects/list/info"):
        assert not find(BASE + path).routes


@pytest.mark.parametrize(
    "path",
    [
        b"/symetry/rest/c1",
        b"/symetry/rest/c1/",
        b"/symetry/rest//projects/list",
        b"/symetry/rest/c1/Projects/list",
        b"/symetry/rest/c1/projects/list//",
        b"/symetry/rest/c1/projects//info",
        b"/symetry/rest/c1/projects/a%2Fb/info/more",
        b"/symetry/rest/c1/" + b"a/" * 1000,
        b"/symetry/",
        b"/other/rest/c1/projects/list",
        b"",
    ],
)
def test_what_is_not_in_the_table_is_not_found(path: bytes) -> None:
    assert not find(path).routes


def test_segments_are_decoded_each_by_itself() -> None:
    where = find(b"/symetry/rest/c%201/projects/a%2Fb%20%C3%A9/info")
    assert where.cid == "c 1"
    assert where.values == {"pid": "a/b é"}
    assert find(BASE + b"projects/%FF/info").values == {"pid": "\ufffd"}


def test_only_what_changes_nothing_is_asked_by_head() -> None:
    asked = (found(route.path.encode(), "HEAD") for route in ROUTES)
    safe = {route.verb for route in asked if route}
    assert safe == {
        "jobs",
        "{jobid}",
        "list",
        "info",
        "cellStatistics",
        "export",
        "getDsLog",
        "getLFStats",
    } | {
        "modelInfo",
        "modelVersions",
        "modelCode",
        "modelExport",
    } | {"fedErrors", "fedInfo", "fedStats", "fedSyncs"}
    assert all(not route.safe or not route.changes for route in ROUTES)


def test_every_action_has_a_route() -> None:
    assert {route.action for route in ROUTES} == set(Action)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_path_or_none(rest: bytes) -> None:
    where = find(BASE + rest)
    assert all(value for value in where.values.values())
