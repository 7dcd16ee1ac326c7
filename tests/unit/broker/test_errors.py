from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from broker.edge.errors import PROBLEM, STATUS, problem
from tally import errors
from tally.errors import InvalidInput, NotFound, TallyError, Unauthorized, Unavailable


def kinds(base: type[TallyError] = TallyError) -> Iterator[type[TallyError]]:
    """Yield those of `tally.errors`; whoever has more of his own gives them one of these codes."""
    yield base
    for kind in base.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


def test_every_error_has_a_status_and_every_status_an_error() -> None:
    assert {kind.code for kind in kinds()} == set(STATUS)


def test_every_error_has_a_code_of_its_own() -> None:
    ours = list(kinds())
    assert len({kind.code for kind in ours}) == len(ours)


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_error_becomes_a_problem(kind: type[TallyError]) -> None:
    error = kind("field", "reason") if issubclass(kind, InvalidInput) else kind("a sentence")
    status, headers, body = problem(error)
    told = json.loads(body)
    assert headers["content-type"] == PROBLEM
    assert told["status"] == status == STATUS[kind.code]
    assert told["detail"] == str(error)
    assert told["code"] == kind.code
    assert told["type"] == f"urn:tally:problem:{kind.code}"


def test_a_refusal_of_input_names_the_field() -> None:
    assert json.loads(problem(InvalidInput("data[3]", "x"))[2])["field"] == "data[3]"


def test_what_may_be_tried_again_says_when() -> None:
    assert problem(Unavailable("x", retry_after_s=7))[1]["retry-after"] == "7"
    assert "retry-after" not in problem(NotFound("x"))[1]


def test_a_stranger_is_told_how_to_present_himself() -> None:
    assert problem(Unauthorized("x"))[1]["www-authenticate"].startswith("Bearer")


def test_further_members_stand_beside_the_usual_ones() -> None:
    told = json.loads(problem(NotFound("x"), fit="f")[2])
    assert (told["fit"], told["code"]) == ("f", "not_found")
