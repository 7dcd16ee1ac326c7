from __future__ import annotations

import pytest

from model_api.fusion.trail import Trail, trail_headers
from tally.errors import InvalidInput
from tally.wire.status import Refused


def test_a_question_tells_who_asked_before_and_how_long_they_wait() -> None:
    path = Trail.read("s1/ann/a", "9000").through("s2/bob/b", 8)
    headers = trail_headers(path, 1.5)
    assert headers == {"sml-fusion-path": "s1/ann/a,s2/bob/b", "sml-fusion-deadline-ms": "1250"}
    assert Trail.read(*headers.values()) == Trail(("s1/ann/a", "s2/bob/b"), 1.25)


def test_no_time_is_left_rather_than_less_than_none() -> None:
    assert trail_headers((), 0.1)["sml-fusion-deadline-ms"] == "0"


@pytest.mark.parametrize("deadline", ["-1", "soon", "1e9", "9" * 13, "\u0663"])
def test_a_deadline_that_is_no_number_is_refused(deadline: str) -> None:
    with pytest.raises(InvalidInput, match="sml-fusion-deadline-ms"):
        Trail.read("", deadline)


def test_a_path_without_an_end_is_refused() -> None:
    with pytest.raises(InvalidInput, match="sml-fusion-path"):
        Trail.read("a" * 20_000, "")
    with pytest.raises(Refused) as refused:
        Trail(tuple(f"s/c/p{n}" for n in range(8))).through("s/c/p", 8)
    assert refused.value.text.startswith("DEPTH_LIMIT")
