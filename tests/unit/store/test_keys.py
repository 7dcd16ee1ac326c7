from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tally.store.keys import end_of

TEXT = st.text(st.sampled_from("a\ud7ff\ue000\U0010ffff"), max_size=4)


@given(prefix=TEXT, key=TEXT)
def test_a_key_is_in_the_range_exactly_if_it_starts_with_the_prefix(prefix: str, key: str) -> None:
    end = end_of(prefix)
    assert (key >= prefix and (end is None or key < end)) == key.startswith(prefix)


@given(prefix=TEXT)
def test_the_end_of_a_range_can_be_sent(prefix: str) -> None:
    (end_of(prefix) or "").encode()
