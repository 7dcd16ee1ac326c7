"""How often somebody may call whom no signature names."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque

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
