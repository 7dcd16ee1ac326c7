from __future__ import annotations

import pytest

from broker.edge import errors as problems
from broker.edge.symetry.errors import STATUS, refused, retry_after
from tally.errors import InvalidInput, StoreUnavailable, TooBusy, TooLarge
from tally.wire.status import Refused, StatusCode


def test_every_error_has_a_status_on_both_apis() -> None:
    assert set(STATUS) == set(problems.STATUS)


@pytest.mark.parametrize("code", sorted(STATUS))
def test_both_apis_agree_but_for_what_is_unknown(code: str) -> None:
    ours, theirs = STATUS[code].http, problems.STATUS[code]
    if code == "not_found":
        assert (ours, theirs) == (400, 404)
    elif code == "claim_lost":
        assert (ours, theirs) == (503, 409)
    else:
        assert ours == theirs


def test_an_error_is_told_with_its_sentence() -> None:
    told = refused(TooLarge("body", "is long"))
    assert (told.status, told.text) == (StatusCode.REQUEST_ENTITY_TOO_LARGE, "body: is long")
    words = Refused("to the letter", StatusCode.CONFLICT)
    assert refused(words) is words


def test_whoever_may_come_again_is_told_when() -> None:
    assert retry_after(StoreUnavailable("away", 7)) == {"retry-after": "7"}
    assert retry_after(TooBusy("full")) == {"retry-after": "1"}
    assert retry_after(Refused("full", StatusCode.TOO_MANY_REQUESTS)) == {"retry-after": "1"}
    assert retry_after(InvalidInput("x", "is wrong")) == {}
