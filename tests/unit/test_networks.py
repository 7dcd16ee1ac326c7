from __future__ import annotations

import socket

import pytest

from tally.errors import ConfigurationError
from tally.networks import AddressRefused, Networks

INWARDS = [
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "::ffff:127.0.0.1",
    "0.0.0.0",
    "::",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "fe80::1%2",
    "224.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::a9fe:a9fe",
    "fd00:ec2::254",
    "100.100.100.200",
]


@pytest.mark.parametrize("address", INWARDS)
def test_nobody_is_asked_on_this_machine_or_its_link(address: str) -> None:
    assert not Networks().allow(address)


def test_other_machines_are_asked_also_in_private_networks() -> None:
    assert all(Networks().allow(one) for one in ("93.184.215.14", "10.1.2.3", "2606:2800::1"))


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "10.1.2.3"])
def test_a_list_is_all_that_is_allowed(address: str) -> None:
    networks = Networks.parse("127.0.0.0/8, 10.1.2.3,")
    assert networks.allow(address)
    assert not networks.allow("10.1.2.4")
    assert not networks.allow("::1")


def test_what_is_no_network_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"TALLY_OUTBOUND_NETWORKS: '10\.0\.0\.0/33'"):
        Networks.parse("10.0.0.0/33")


def test_a_socket_is_made_for_allowed_addresses_only() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))
    with pytest.raises(AddressRefused):
        Networks().socket(info)
    Networks.parse("127.0.0.1").socket(info).close()
