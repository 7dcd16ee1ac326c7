"""How often somebody may call whom no signature names, and how much a customer may ask at once."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from tally.clock import Clock
from tally.wire.status import Refused, StatusCode

_WINDOW_S = 60.0
_MOST_KNOWN = 10_000


class RateLimit:
    """Lets each address through so many times a minute; of IPv6, each network of 64 bits.

    Args:
        clock: ours.
        per_minute: how many times.
    """

    def __init__(self, clock: Clock, per_minute: int) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Return if an address may call now; this call counts.

        Raises:
            Refused: 429, it has called too often.
        """
        now = self._clock.monotonic()
        caller = _caller(address)
        calls = self._calls.setdefault(caller, deque())
        self._calls.move_to_end(caller)
        while calls and calls[0] <= now - _WINDOW_S:
            calls.popleft()
        if len(calls) >= self._per_minute:
            text = f"At most {self._per_minute} such calls a minute are answered"
            raise Refused(text, StatusCode.TOO_MANY_REQUESTS)
        calls.append(now)
        if len(self._calls) > _MOST_KNOWN:
            self._calls.popitem(last=False)


class AtOnce:
    """Lets each customer have so many calls of a kind under way.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def call(self, cid: str) -> Iterator[None]:
        """Count a call of a customer for as long as the block takes.

        Raises:
            Refused: 429, there are as many under way as there may be.
        """
        if self._under_way[cid] >= self._most:
            text = f"At most {self._most} such calls of a customer are answered at once; try again"
            raise Refused(text, StatusCode.TOO_MANY_REQUESTS)
        self._under_way[cid] += 1
        try:
            yield
        finally:
            self._under_way[cid] -= 1
            if not self._under_way[cid]:
                del self._under_way[cid]


def _caller(address: str) -> str:
    """Return who is at an address: whoever has one of IPv6 mostly has all of its network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return found.packed[:8].hex()
