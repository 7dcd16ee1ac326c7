"""A signed API in another thread, and who asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tally.client.portal import wait_for
from tests.unit.client.signed_broker import CID, KEY, SignedBroker, signed_broker


@pytest.fixture
def broker() -> Iterator[SignedBroker]:
    """Give a server in another thread: commands block ours."""
    context = signed_broker()
    yield wait_for(context.__aenter__())
    wait_for(context.__aexit__(None, None, None))


def account(broker: SignedBroker) -> dict[str, str]:
    """Return the environment of a customer's commands, in a terminal that is wide enough."""
    return {"TALLY_URL": broker.url, "TALLY_CID": CID, "TALLY_KEY": KEY.text, "COLUMNS": "150"}
