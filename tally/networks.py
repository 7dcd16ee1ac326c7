"""Where workers may connect to for customers, whose lists of hosts must not steer them inwards.

Addresses are judged, not names: a name is whatever its owner says, each time it is asked.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tally.errors import ConfigurationError

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


REFUSED = "its address is not among the allowed networks"

_TELLING_SECRETS = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16"))
)
"""Where some clouds tell a machine its secrets that is not its link."""


class AddressRefused(OSError):
    """A server is where nobody may be asked."""

    def __init__(self) -> None:
        super().__init__(REFUSED)


@dataclass(frozen=True, slots=True)
class Networks:
    """Tells the addresses that may be connected to.

    Attributes:
        listed: these only; none: everywhere but this machine, its link, and what is no host.

    Example:
        >>> everywhere, ours = Networks(), Networks.parse("10.0.0.0/8, ::1")
        >>> everywhere.allow("93.184.215.14"), everywhere.allow("127.0.0.1"), ours.allow("10.1.2.3")
        (True, False, True)
    """

    listed: Sequence[_Network] = ()

    @classmethod
    def parse(cls, text: str) -> Networks:
        """Return the networks in a comma-separated list.

        Raises:
            ConfigurationError: one is none; names it.
        """
        found: list[_Network] = []
        for part in filter(None, map(str.strip, text.split(","))):
            try:
                found.append(ipaddress.ip_network(part))
            except ValueError as error:
                raise ConfigurationError(f"TALLY_OUTBOUND_NETWORKS: {error}") from None
        return cls(tuple(found))

    def allow(self, address: str) -> bool:
        """Tell whether a server may be at an address, as sockets have it."""
        found: _Address = ipaddress.ip_address(address)
        if isinstance(found, ipaddress.IPv6Address):
            found = found.ipv4_mapped or found.sixtofour or found
        if self.listed:
            return any(found in network for network in self.listed)
        return not (
            found.is_loopback
            or found.is_link_local  # also where clouds tell a machine its secrets
            or found.is_unspecified  # Linux takes it for loopback
            or found.is_multicast
            or found.is_reserved
            or found in _TELLING_SECRETS
        )

    def socket(self, info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        """Return a socket for an address that was resolved, as `getaddrinfo` tells it.

        Here and not where the host is read: in between, its name may come to mean another address.

        Raises:
            AddressRefused: nobody may be asked there.
        """
        family, kind, protocol, _, address = info
        if not self.allow(str(address[0])):
            raise AddressRefused
        return socket.socket(family, kind, protocol)
