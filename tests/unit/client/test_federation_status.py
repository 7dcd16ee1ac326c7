"""What a peer tells of its federation, in words."""

from __future__ import annotations

import msgspec

from tally.client.results.federation import FederationStatus
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


def info(**peers: tuple[str, int, int]) -> FederationInfo:
    told = {
        f"uuid-{name}": msgspec.json.encode(
            PeerInfo(name=name, state=state, rows=rows, epoch=1, seq=1, last_sync=heard)
        ).decode()
        for name, (state, rows, heard) in peers.items()
    }
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
        allow_peers_explore=True,
        peersInfo=told,
    )


def test_each_peers_state_is_told_in_words() -> None:
    told = FederationStatus.of(
        info(
            a=("ACTIVE", 50, 1_767_225_600_000),
            b=("STALE", 50, 1_767_225_600_000),
            c=("ACTIVE", 0, 0),
            d=("NEWER", 7, 0),
        ),
        STATS,
    )
    lines = str(told).splitlines()
    assert lines[0] == "m1: federation flowers, every m5, pulsing"
    assert [line.split()[0] for line in lines[1:]] == ["peer", "a", "b", "c", "d"]
    assert "2026-01-01 00:00:00" in lines[2]
    assert lines[2].endswith("in step")
    assert "silent" in lines[3]
    assert lines[4].split(maxsplit=3) == ["c", "0", "never", "has shared nothing yet"]
    assert lines[5].endswith("NEWER")


def test_what_keeps_rows_back_is_told_while_it_does() -> None:
    blocked = "Snapshot not shared: MIN_ROWS: 8 rows of 4 attributes; 9 rows are needed"
    now = msgspec.structs.replace(STATS, sync_log=(blocked, "fedProj rebuilt done"))
    assert "not shared: MIN_ROWS: 8 rows" in str(FederationStatus.of(info(), now))
    later = msgspec.structs.replace(STATS, sync_log=(blocked, "fedProj", "fedProj"))
    assert "not shared" not in str(FederationStatus.of(info(), later))


def test_the_last_error_is_told() -> None:
    failed = msgspec.structs.replace(STATS, error_log=("first", "The transport is lost"))
    told = str(FederationStatus.of(info(), failed))
    assert "2 errors, the last: The transport is lost" in told
