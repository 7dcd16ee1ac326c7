"""What a peer tells of its federation, in words."""

from __future__ import annotations

import msgspec
import pytest

from tally.client.results.federation import _REASONS, FederationStatus
from tally.federation.privacy.reason import Reason
from tally.wire.federation import FederationInfo, PeerInfo, SyncStats

STATS = SyncStats(
    snd_count=1,
    snd_contract_error=0,
    rcv_count=1,
    rcv_error=0,
    rcv_contract_error={},
    error_log=(),
    sync_log=(),
)


UUID = "5f0c"


def peer(state: str, rows: int = 0, heard: int = 1_767_225_600_000, withheld: str = "") -> PeerInfo:
    return PeerInfo(
        name="a", state=state, rows=rows, epoch=1, seq=1, last_sync=heard, withheld=withheld
    )


def info(one: PeerInfo | None = None) -> FederationInfo:
    peers = {} if one is None else {UUID: msgspec.json.encode(one).decode()}
    return FederationInfo(
        fed_local_id="m1",
        fed_name="flowers",
        fed_secret_key="",
        sync_sched="m5",
        fed_type="nats",
        local_uuid="u",
        contract="",
        rcv_error_action="",
        snd_error_action="",
        fed_use_smpc="false",
        is_pulsing=True,
        node_state="PULSING",
        allow_peers_explore=True,
        peersInfo=peers,
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (peer("ACTIVE", 50), "in step"),
        (peer("ACTIVE", heard=0), "was not heard yet"),
        (peer("ACTIVE"), "has shared nothing yet"),
        (
            peer("ACTIVE", withheld="MIN_ROWS"),
            "has shared nothing yet: too few rows (MIN_ROWS)",
        ),
        (
            peer("ACTIVE", 50, withheld="CONTRACT"),
            "in step; its newest rows stay there: they break the contract (CONTRACT)",
        ),
        (
            peer("STALE", 50),
            "silent for three periods or more: it is away, or does not pulse; "
            "what it shared still counts",
        ),
        (
            peer("STALE"),
            "silent for three periods or more: it is away, or does not pulse; nothing of it counts",
        ),
        (
            peer("BLOCKED", 50),
            "the contract refuses its newest snapshot; the one before counts",
        ),
        (peer("LEFT", 50), "has left; what it shared still counts"),
        (peer("LEFT"), "has left, or was put out"),
        (
            peer("DETACHED", 50),
            "the federation has ended for us; what it shared last stays in our sums",
        ),
        (peer("NEWER", 7), "NEWER"),
    ],
)
def test_how_a_peer_is_and_why_is_told_in_words(told: PeerInfo, words: str) -> None:
    (found,) = FederationStatus.of(info(told), STATS).peers
    assert (found.words, found.rows, found.state) == (words, told.rows, told.state)


def test_every_reason_has_words() -> None:
    assert set(_REASONS) == set(Reason)


def test_the_last_error_about_a_silent_peer_is_told_with_it() -> None:
    errors = (f"Clock skew from peer [{UUID}]: 600s", "Clock skew from peer [other]: 7s")
    stats = msgspec.structs.replace(STATS, error_log=errors)
    (found,) = FederationStatus.of(info(peer("STALE", 50)), stats).peers
    assert found.words.endswith("what it shared still counts; last error: Clock skew: 600s")
    (found,) = FederationStatus.of(info(peer("ACTIVE", 50)), stats).peers
    assert found.words == "in step"


def test_it_is_a_table_with_a_title() -> None:
    lines = str(FederationStatus.of(info(peer("ACTIVE", 50)), STATS)).splitlines()
    assert lines == [
        "m1: federation flowers, every m5, pulsing",
        "peer  rows                heard    state",
        "a       50  2026-01-01 00:00:00  in step",
    ]
    never = FederationStatus.of(info(peer("ACTIVE", heard=0)), STATS)
    assert str(never).splitlines()[-1].split(maxsplit=3)[2] == "never"


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            {"node_state": "IDLE"},
            "m1: federation flowers, every m5, not pulsing: it shares nothing",
        ),
        (
            {"node_state": "DETACHED"},
            "m1: federation flowers, every m5, it has ended for this site, which keeps the last "
            "federated project",
        ),
        (
            {"is_connected": False},
            "its broker cannot be reached: nothing comes, and nothing is shared",
        ),
        (
            {"not_shared": "MIN_ROWS: 8 rows of 4 attributes; 9 rows are needed"},
            "not shared: MIN_ROWS: 8 rows of 4 attributes; 9 rows are needed",
        ),
    ],
)
def test_how_this_site_is_stands_first(more: dict[str, object], line: str) -> None:
    told = msgspec.structs.replace(info(), **more)
    assert line in str(FederationStatus.of(told, STATS)).splitlines()


def test_who_is_alone_reads_so() -> None:
    assert str(FederationStatus.of(info(), STATS)).splitlines()[1] == "no other peer has joined yet"
    assert "joined yet" not in str(FederationStatus.of(info(peer("LEFT")), STATS))


def test_nobody_is_called_silent_by_a_peer_that_is_cut_off() -> None:
    cut_off = msgspec.structs.replace(info(peer("STALE", 50)), is_connected=False)
    (found,) = FederationStatus.of(cut_off, STATS).peers
    assert found.words == "not heard while the broker is away; what it shared still counts"


def test_the_last_error_is_told() -> None:
    one = msgspec.structs.replace(STATS, error_log=("The transport is lost",))
    assert "\n1 error: The transport is lost" in str(FederationStatus.of(info(), one))
    failed = msgspec.structs.replace(STATS, error_log=("first", "The transport is lost"))
    told = str(FederationStatus.of(info(), failed))
    assert "2 errors, the last: The transport is lost" in told
