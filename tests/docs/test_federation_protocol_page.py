"""The page of the protocol against the code that speaks it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from tally.federation.envelope import MAX_HEADER_BYTES, Header
from tally.federation.messages import MessageType, SyncInfo
from tally.federation.privacy.reason import Reason
from tally.federation.state import NodeState, PeerStatus

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "federation-protocol.md"


def words() -> set[str]:
    """Return everything that the page sets as code, word by word."""
    spans = re.findall(r"`([^`\n]+)`", PAGE.read_text())
    return {word for span in spans for word in re.findall(r"[\w.]+", span)}


def test_every_key_of_the_header_is_described() -> None:
    keys = {field.encode_name for field in msgspec.structs.fields(Header)}
    keys |= {field.encode_name for field in msgspec.structs.fields(SyncInfo)}
    assert keys <= words()


def test_every_type_state_and_reason_is_described() -> None:
    for names in (MessageType, NodeState, PeerStatus, Reason):
        assert {name.value for name in names} <= words()


def test_the_bound_of_the_header_is_told() -> None:
    assert f"at most {MAX_HEADER_BYTES // 1024} KiB" in PAGE.read_text()
