from __future__ import annotations

import pytest

from broker.edge.symetry.rate import AtOnce, RateLimit
from tally.clock import ManualClock
from tally.wire.status import Refused, StatusCode


async def test_each_address_is_let_through_so_often_a_minute(clock: ManualClock) -> None:
    limit = RateLimit(clock, 2)
    limit.check("a")
    await clock.advance(30)
    limit.check("a")
    with pytest.raises(Refused) as raised:
        limit.check("a")
    assert raised.value.status is StatusCode.TOO_MANY_REQUESTS
    limit.check("b")
    await clock.advance(30)
    limit.check("a")
    with pytest.raises(Refused):
        limit.check("a")


@pytest.mark.parametrize(
    ("one", "other"), [("2001:db8::1", "2001:db8::ffff:1"), ("192.0.2.1", "::ffff:192.0.2.1")]
)
def test_addresses_of_one_caller_count_together(clock: ManualClock, one: str, other: str) -> None:
    limit = RateLimit(clock, 1)
    limit.check(one)
    limit.check("2001:db8:0:1::1")
    with pytest.raises(Refused):
        limit.check(other)


def test_so_many_addresses_are_remembered_and_no_more(clock: ManualClock) -> None:
    limit = RateLimit(clock, 1)
    for number in range(10_001):
        limit.check(str(number))
    limit.check("0")
    with pytest.raises(Refused):
        limit.check("10000")


def test_each_customer_has_so_many_calls_under_way_and_no_more() -> None:
    limit = AtOnce(2)
    with limit.call("a"), limit.call("a"), limit.call("b"):
        with pytest.raises(Refused) as raised, limit.call("a"):
            pass
        assert raised.value.status is StatusCode.TOO_MANY_REQUESTS
    with pytest.raises(KeyError), limit.call("a"):
        raise KeyError  # it has ended all the same
    with limit.call("a"), limit.call("a"):
        pass
