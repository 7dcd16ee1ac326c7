"""What an address says of who can reach it."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether a host, as it is written, is this machine and reached from nowhere else.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("127.0.0.1.example")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
