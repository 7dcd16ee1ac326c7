"""One step of a peer while it is being made: the next state, and what is to be done."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tally.federation import messages
from tally.federation.effects import (
    Effect,
    PublishControl,
    PublishSnapshot,
    PublishState,
)
from tally.federation.envelope import Draft, RandomBytes, Reference, Sealed, object_key, seal
from tally.federation.errors import NotAdmin
from tally.federation.keys import FederationKeys, Identity
from tally.federation.messages import EVERYONE, MessageType
from tally.federation.rules import Rules
from tally.federation.state import Approved, PeerState, Rate, Row, Settings

REQUEST_INTERVAL_MS = 10_000
"""A peer asks another for its snapshot no more often than this, and is no more often asked."""

RATE_MS = 60_000


class Transition:
    """The working copy that the handlers of one event share; dropped if one of them raises.

    Attributes:
        state: as it is so far.
        effects: so far.
    """

    def __init__(
        self,
        state: PeerState,
        keys: FederationKeys,
        identity: Identity,
        rules: Rules,
        random_bytes: RandomBytes,
    ) -> None:
        self.state = state
        self.effects: list[Effect] = []
        self.keys = keys
        self.identity = identity
        self.rules = rules
        self.random_bytes = random_bytes

    @property
    def settings(self) -> Settings:
        """What is fixed."""
        return self.state.settings

    def change(self, **fields: Any) -> None:
        """Replace fields of the state."""
        self.state = msgspec.structs.replace(self.state, **fields)

    def change_row(self, peer: str, **fields: Any) -> None:
        """Replace fields of what is held of a peer."""
        row = msgspec.structs.replace(self.row(peer), **fields)
        self.change(rows={**self.state.rows, peer: row})

    def row(self, peer: str) -> Row:
        """Return what is held of a peer."""
        return self.state.rows.get(peer, Row())

    def rest(self) -> None:
        """Have nothing more to do at a later moment."""
        self.change(collecting=None, rebuild_ms=None, again_ms=None)

    def count(self, **fields: int) -> None:
        """Add to counters."""
        counters = self.state.counters
        sums = {name: getattr(counters, name) + more for name, more in fields.items()}
        self.change(counters=msgspec.structs.replace(counters, **sums))

    def times(self, what: str, most: int, now_ms: int) -> int:
        """Return how often something has happened in this minute, this time included.

        Args:
            what: a peer that asks, or another name.
            most: is counted exactly, and one more; what is beyond leaves no mark.
            now_ms: now.
        """
        rate = self.state.rates.get(what)
        if rate is None or not 0 <= now_ms - rate.since_ms < RATE_MS:
            rate = Rate(now_ms, 0)
        count = rate.count + 1
        if count <= most + 1:
            self.change(rates={**self.state.rates, what: Rate(rate.since_ms, count)})
        return count

    def error(self, entry: str) -> None:
        """Write to the error log."""
        self.change(errors=self.state.errors.add(entry))

    def do(self, effect: Effect) -> None:
        """Have something done."""
        self.effects.append(effect)

    def require_admin(self) -> None:
        """Refuse what is the admin's.

        Raises:
            NotAdmin: this peer is not.
        """
        if not self.settings.is_admin:
            raise NotAdmin

    def next_admin_seq(self) -> int:
        """Return the number of the admin's next word."""
        self.change(admin_seq=self.state.admin_seq + 1)
        return self.state.admin_seq

    def notice_admin_seq(self, number: int) -> None:
        """Give out no number that an admin's word has, if it is ours to give any."""
        if self.settings.is_admin:
            self.change(admin_seq=max(number, self.state.admin_seq))

    def sealed(
        self, kind: MessageType, payload: messages.AnyPayload, now_ms: int, to: str = EVERYONE
    ) -> Sealed:
        """Return a message with the next sequence number."""
        self.change(seq=self.state.seq + 1)
        encrypt = self.settings.encrypt or kind in messages.ALWAYS_ENCRYPTED
        body = messages.encode(payload)
        draft = Draft(kind, to, self.state.epoch, self.state.seq, now_ms, body)
        return self._seal(draft, encrypt=encrypt)

    def publish(
        self, kind: MessageType, payload: messages.AnyPayload, now_ms: int, to: str = EVERYONE
    ) -> None:
        """Publish a control message."""
        self.do(PublishControl(self.sealed(kind, payload, now_ms, to)))

    def publish_state(
        self, subject: Literal["roster", "contract", "schedule"], now_ms: int
    ) -> None:
        """Publish the admin's last word on something, again or for the first time."""
        state = self.state
        kind, payload = {
            "roster": (MessageType.ROSTER, state.roster),
            "contract": (MessageType.CONTRACT, state.contract),
            "schedule": (
                MessageType.SCHED,
                state.pending or messages.SchedulePayload(state.schedule_seq, state.sync_sched, 0),
            ),
        }[subject]
        self.do(PublishState(subject, self.sealed(kind, payload, now_ms)))

    def publish_snapshot(self, approved: Approved, now_ms: int) -> None:
        """Publish an approved snapshot under the numbers that it was approved with."""
        snapshot = approved.snapshot
        draft = Draft(
            MessageType.SYNC,
            EVERYONE,
            snapshot.epoch,
            snapshot.seq,
            now_ms,
            snapshot.payload,
            # Whether others may explore us is of now, not of when it was approved.
            msgspec.structs.replace(snapshot.info, allow_explore=self.state.allow_explore),
        )
        reference = None
        if len(snapshot.payload) > self.settings.inline_bytes:
            # Encrypted anew it is other bytes, under which nobody may find those of before.
            again = self.random_bytes(4).hex()
            key = object_key(self.settings.uuid, snapshot.epoch, snapshot.seq, again)
            reference = Reference(self.settings.reference_kind, key)
        sealed = self._seal(draft, encrypt=self.settings.encrypt, reference=reference)
        self.do(PublishSnapshot(sealed))

    def _seal(self, draft: Draft, *, encrypt: bool, reference: Reference | None = None) -> Sealed:
        return seal(
            draft,
            self.keys,
            self.identity,
            self.random_bytes,
            encrypt=encrypt,
            reference=reference,
        )
