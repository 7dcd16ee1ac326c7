from __future__ import annotations

import pytest

from tally.projects.model_records import check_model_id
from tally.wire.status import Refused


@pytest.mark.parametrize("name", ["a", "lda-1", "...", ".a", "a.", "A_b.c-1", "x" * 128])
def test_a_name_that_stands_in_a_path_as_it_is_may_be_a_models(name: str) -> None:
    assert check_model_id(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a b", "a/b", "a%2Fb", "é", "a\n", "..\n", "x" * 129]
)
def test_another_name_is_refused_with_what_it_may_be_of(name: str) -> None:
    with pytest.raises(Refused, match=r"1 to 128 letters, digits, _, \. and -") as refused:
        check_model_id(name)
    assert len(refused.value.text) < 240
