from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.errors import InvalidInput
from tally.federation.errors import TokenExpired, TokenInvalid, TokenUsed
from tally.federation.logs import MAX_ENTRIES, Log
from tally.federation.schedule import Schedule
from tally.federation.tokens import MAX_TOKENS, Token, Tokens

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("text", "period_ms"),
    [("m1", 60_000), ("h12", 12 * HOUR_MS), ("d366", 366 * 24 * HOUR_MS), ("m90", 5_400_000)],
)
def test_a_schedule_is_a_unit_and_a_number(text: str, period_ms: int) -> None:
    assert Schedule.parse(text).period_ms == period_ms


@pytest.mark.parametrize(
    "text", ["M5", "m0", "x3", "h", "5m", "m1.5", "d367", "h8785", "m\N{ARABIC-INDIC DIGIT ONE}"]
)
def test_everything_else_is_refused_in_the_prescribed_words(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Schedule.parse(text)
    assert str(refused.value) == f"Invalid sync schedule [{text}]"


def test_seconds_are_for_tests_only() -> None:
    assert Schedule.parse("s2", allow_seconds=True).period_ms == 2000
    with pytest.raises(InvalidInput):
        Schedule.parse("s2")


@given(st.integers(0, 2**45), st.sampled_from(["m1", "m7", "h5", "d3"]))
def test_rounds_are_counted_from_1970_for_everyone(now_ms: int, text: str) -> None:
    schedule = Schedule.parse(text)
    number = schedule.round_at(now_ms)
    assert schedule.start_of(number) <= now_ms < schedule.start_of(number + 1)


def test_a_token_is_used_by_one_node_until_it_expires() -> None:
    text, tokens = Tokens().issue(bytes(8), now_ms=0, lifetime_ms=HOUR_MS)
    assert text not in repr(tokens)
    used = tokens.consume(text, "a", now_ms=1)
    assert used.consume(text, "a", now_ms=2) == used
    with pytest.raises(TokenUsed):
        used.consume(text, "b", now_ms=2)
    with pytest.raises(TokenExpired):
        tokens.consume(text, "a", now_ms=HOUR_MS)
    with pytest.raises(TokenInvalid):
        tokens.consume("FEDTOKEN" + "f" * 16, "a", now_ms=1)


def test_expired_tokens_go_when_others_are_issued() -> None:
    first, tokens = Tokens().issue(bytes(8), now_ms=0, lifetime_ms=HOUR_MS)
    _, tokens = tokens.issue(b"12345678", now_ms=2 * HOUR_MS, lifetime_ms=HOUR_MS)
    assert len(tokens.issued) == 1
    with pytest.raises(TokenInvalid):
        tokens.consume(first, "a", now_ms=2 * HOUR_MS)


def test_there_is_a_bound_on_tokens() -> None:
    full = Tokens({str(k): Token(HOUR_MS) for k in range(MAX_TOKENS)})
    with pytest.raises(InvalidInput, match="fed_req_token: 10000 tokens"):
        full.issue(bytes(8), now_ms=0, lifetime_ms=HOUR_MS)


def test_a_log_keeps_the_last_thousand_entries_oldest_first() -> None:
    log = Log()
    for k in range(MAX_ENTRIES + 5):
        log = log.add(str(k))
    assert log.entries[0] == "5"
    assert len(log.entries) == MAX_ENTRIES
