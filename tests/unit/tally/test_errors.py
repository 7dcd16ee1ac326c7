from __future__ import annotations

from tally.errors import (
    AlgorithmUnavailable,
    FitFailed,
    IdempotencyMismatch,
    InvalidInput,
    OutcomeUnknown,
    StoreUnavailable,
    TooLarge,
    Unavailable,
)


def test_bad_input_carries_its_field_and_begins_with_it() -> None:
    for kind in (InvalidInput, TooLarge, AlgorithmUnavailable):
        error = kind("data[3]", "is text")
        assert error.field == "data[3]"
        assert str(error) == "data[3]: is text"


def test_what_may_go_away_by_itself_says_when_to_try_again() -> None:
    assert Unavailable("away").retry_after_s >= 1
    assert StoreUnavailable("away", retry_after_s=9).retry_after_s == 9


def test_an_unknown_outcome_is_handled_wherever_an_outage_is() -> None:
    assert issubclass(OutcomeUnknown, StoreUnavailable)
    assert OutcomeUnknown.code != StoreUnavailable.code != IdempotencyMismatch.code


def test_a_failed_fit_is_final_unless_it_says_otherwise() -> None:
    assert not FitFailed("too short").retryable
    assert FitFailed("killed", retryable=True).retryable
