from __future__ import annotations

import pytest

from tally.forecast.families import FAMILIES, Family
from tests.extras.conftest import need

ABSENT = Family("absent", "tally.forecast.absent", "", extra="absent", probe="no_such_library")


@pytest.mark.parametrize(
    ("required", "outcome"), [("0", pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
def test_a_missing_library_skips_with_the_line_that_installs_it_and_fails_where_required(
    required: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.extras.conftest.FAMILIES", {**FAMILIES, "absent": ABSENT})
    monkeypatch.setenv("TALLY_REQUIRE_EXTRAS", required)
    with pytest.raises(outcome, match=r"pip install 'tally\[absent\]'"):
        need("absent")
