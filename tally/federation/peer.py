"""A peer of a federation as a pure state machine: `step(state, event) -> (state, effects)`.

It reads no clock, opens no socket and touches no disk. What it needs besides its state are the
keys, the rules (pure functions) and random bytes; with equal ones of these, equal events give
equal effects, so that any fault can be replayed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple, assert_never

from tally.federation import (
    commands,
    contracting,
    exploring,
    membership,
    rebuilding,
    receiving,
    scheduling,
    ticking,
)
from tally.federation.effects import Effect, Persist, Wake
from tally.federation.envelope import RandomBytes
from tally.federation.events import (
    AllowExplore,
    CleanedUp,
    ClearErrors,
    Event,
    Explored,
    ExplorePeer,
    Failed,
    Invite,
    Join,
    Leave,
    NewContract,
    NewSchedule,
    NotRebuilt,
    Rebuilt,
    Received,
    Reconnected,
    RequestSync,
    Restarted,
    StartPulse,
    StopPulse,
    Tick,
    Timer,
)
from tally.federation.keys import FederationKeys, Identity
from tally.federation.logs import Log
from tally.federation.rules import Rules
from tally.federation.state import NodeState, PeerState
from tally.federation.transition import Transition


class Step(NamedTuple):
    """What follows from an event."""

    state: PeerState
    effects: tuple[Effect, ...]


class Peer:
    """What does not change about a peer, and its transitions.

    Args:
        keys: of the federation.
        identity: of this peer.
        rules: of privacy and contract.
        random_bytes: for ids and nonces; may not repeat itself, also not after a restart.
    """

    def __init__(
        self,
        keys: FederationKeys,
        identity: Identity,
        rules: Rules,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._keys = keys
        self._identity = identity
        self._rules = rules
        self._random_bytes = random_bytes

    def step(self, state: PeerState, event: Event) -> Step:
        """Return the state after an event and what is to be done about it.

        `Persist` comes first wherever the state has changed, so that no number is ever sent that
        a restart would give out again, and nothing is acknowledged that a restart would forget.

        Raises:
            TallyError: a command cannot be obeyed; the state stays what it was. Messages and
                timers raise nothing.
        """
        work = Transition(state, self._keys, self._identity, self._rules, self._random_bytes)
        _handle(work, event)
        effects = work.effects
        if work.state is not state:
            effects.insert(0, Persist())
        now_ms = getattr(event, "now_ms", None)
        if now_ms is not None:
            effects.append(Wake(scheduling.wake_at(work.state, now_ms)))
        return Step(work.state, tuple(effects))

    def steps(self, state: PeerState, events: Sequence[Event]) -> Step:
        """Return what follows from events one after the other: saved once, then acted upon.

        Raises:
            TallyError: as `step`; nothing of any event has happened then.
        """
        effects: list[Effect] = []
        after = state
        for event in events:
            after, more = self.step(after, event)
            effects += [effect for effect in more if not isinstance(effect, Persist)]
        if after is not state:
            effects.insert(0, Persist())
        return Step(after, tuple(effects))


def _do_what_is_due(work: Transition, now_ms: int) -> None:
    rebuilding.rebuild_if_due(work, now_ms)
    receiving.publish_again_if_due(work, now_ms)


def _handle(work: Transition, event: Event) -> None:
    match event:
        case Received():
            receiving.received(work, event)
        case Tick():
            ticking.tick(work, event)
            _do_what_is_due(work, event.now_ms)
        case Timer():
            scheduling.apply_pending(work, event.now_ms)
            _do_what_is_due(work, event.now_ms)
        case StartPulse():
            commands.start_pulse(work, event)
        case StopPulse():
            commands.stop_pulse(work)
        case NewSchedule():
            scheduling.new_schedule(work, event)
        case NewContract():
            contracting.new_contract(work, event)
        case AllowExplore():
            commands.allow_explore(work, event)
        case ClearErrors():
            work.change(errors=Log())
        case RequestSync():
            commands.request_sync(work, event)
        case Invite():
            membership.invite(work, event)
        case Join():
            membership.ask_to_join(work, event)
        case Leave():
            membership.leave(work, event)
        case CleanedUp():
            work.change(node=NodeState.GONE)
        case ExplorePeer():
            exploring.explore_peer(work, event)
        case Explored():
            exploring.explored(work, event)
        case Rebuilt():
            work.change(syncs=work.state.syncs.add(event.entry))
        case NotRebuilt():
            work.change(rebuilt="")
            work.error(event.entry)
        case Failed():
            work.error(event.entry)
        case Restarted():
            commands.restarted(work, event)
        case Reconnected():
            commands.reconnected(work, event)
        case _:
            assert_never(event)
