"""What a peer tells its user: of itself, of the others, and what it counted."""

from __future__ import annotations

import base64

import msgspec

from model_api.federation.peers import Running
from tally.federation.state import NodeState, PeerState, Row
from tally.wire.federation import FederationInfo, PeerInfo, SyncStats


def federation_info(running: Running, pid: str) -> FederationInfo:
    """Return what a peer tells of itself; for its own user, since the federation's key is in it."""
    state, terms = running.state, running.secrets.terms
    settings = state.settings
    return FederationInfo(
        fed_local_id=pid,
        fed_name=terms.name,
        fed_secret_key=base64.b64encode(running.secrets.secret).decode(),
        sync_sched=state.sync_sched,
        fed_type="nats",
        local_uuid=settings.uuid,
        contract="\n".join(state.contract.rules),
        rcv_error_action=_action("fed_psr_contract_rcv_fail_action", settings.block_receive),
        snd_error_action=_action("fed_psr_contract_snd_fail_action", settings.block_send),
        fed_use_smpc="false",
        is_pulsing=state.node is NodeState.PULSING,
        node_state=state.node.value,
        is_connected=running.driver.connected,
        not_shared=state.not_shared,
        allow_peers_explore=state.allow_explore,
        peersInfo={
            member.uuid: msgspec.json.encode(_peer(state, member.uuid, member.name)).decode()
            for member in state.roster.peers
            if member.uuid != settings.uuid
        },
    )


def stats(state: PeerState) -> SyncStats:
    """Return what a peer has counted, and its logs."""
    counters = state.counters
    return SyncStats(
        snd_count=counters.snd_count,
        snd_contract_error=counters.snd_contract_error,
        rcv_count=counters.rcv_count,
        rcv_error=counters.rcv_error,
        rcv_contract_error=counters.rcv_contract_error,
        error_log=state.errors.entries,
        sync_log=state.syncs.entries,
    )


def _peer(state: PeerState, uuid: str, name: str) -> PeerInfo:
    row = state.rows.get(uuid, Row())
    held = row.accepted
    return PeerInfo(
        name=name,
        state=state.status_of(uuid).value,
        rows=0 if held is None else held.info.rows,
        epoch=0 if held is None else held.epoch,
        seq=0 if held is None else held.seq,
        # Its silence is counted from when we first knew of it, though it was never heard.
        last_sync=row.heard_ms if row.round >= 0 else 0,
        withheld=row.withheld,
    )


def _action(key: str, block: bool) -> str:
    return f"{key}_{'block' if block else 'allow'}"
