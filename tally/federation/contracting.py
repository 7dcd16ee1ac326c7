"""The contract: the admin's word on it, and what it does to others' snapshots."""

from __future__ import annotations

import hashlib

from tally.errors import InvalidInput
from tally.federation.errors import EnvelopeRefused
from tally.federation.events import NewContract
from tally.federation.messages import ContractPayload, encode
from tally.federation.rebuilding import arrived
from tally.federation.state import Snapshot
from tally.federation.transition import Transition

MAX_BYTES = 256 * 1024
"""Of a contract: with the roster, it is to fit into the answer that a joiner gets."""


def new_contract(step: Transition, event: NewContract) -> None:
    """Replace the contract, here and everywhere.

    Raises:
        NotAdmin: this peer may not.
        InvalidInput: the rules are longer than a message may be.
    """
    step.require_admin()
    payload = ContractPayload(step.next_admin_seq(), event.rules, hash_of(event.rules))
    if (size := len(encode(payload))) > MAX_BYTES:
        raise InvalidInput("contract", f"{size} bytes; {MAX_BYTES} are allowed")
    _replace(step, payload, event.now_ms)
    step.publish_state("contract", event.now_ms)


def announced(step: Transition, payload: ContractPayload, now_ms: int) -> None:
    """Take the admin's contract if it is newer.

    Raises:
        EnvelopeRefused: it is not the one that its hash tells.
    """
    if payload.hash != hash_of(payload.rules):
        raise EnvelopeRefused("the contract does not match its hash")
    if payload.admin_seq > step.state.contract.admin_seq:
        step.notice_admin_seq(payload.admin_seq)
        _replace(step, payload, now_ms)


def take(step: Transition, peer: str, snapshot: Snapshot) -> None:
    """Replace what is held of a peer, unless the contract refuses its snapshot.

    Raises:
        TallyError: the snapshot is no statistics.
    """
    if _fails(step, peer, snapshot) and step.settings.block_receive:
        step.change_row(peer, refused=snapshot)
    else:
        step.change_row(peer, accepted=snapshot, refused=None)


def _fails(step: Transition, peer: str, newest: Snapshot) -> bool:
    """Judge a peer's newest snapshot by the contract; a failure is counted and logged."""
    failures = step.rules.contract_failures(newest.payload, step.state.contract.rules)
    if failures:
        step.change(counters=step.state.counters.contract_error_of(peer))
    for failure in failures:
        step.error(f"{failure} peer:[{peer}]")
    return bool(failures)


def hash_of(rules: tuple[str, ...]) -> str:
    """Return what tells one contract from another; empty for none."""
    return hashlib.sha256("\n".join(rules).encode()).hexdigest() if rules else ""


def _replace(step: Transition, payload: ContractPayload, now_ms: int) -> None:
    step.change(contract=payload)
    if not step.settings.block_receive:
        return
    for peer, row in step.state.rows.items():
        # The newest first: what the old contract refused the new one may take.
        newest, before = row.newest, row.accepted
        if newest is None or not _fails(step, peer, newest):
            step.change_row(peer, accepted=newest, refused=None)
        elif (
            before is None
            or before is newest
            or step.rules.contract_failures(before.payload, payload.rules)
        ):
            step.change_row(peer, accepted=None, refused=newest)
        else:
            step.change_row(peer, accepted=before, refused=newest)
    arrived(step, now_ms)
