"""Federations for tests: small, in virtual time, and with nothing wrong unless a test says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tally.federation.effects import Effect
from tally.federation.envelope import Draft, seal
from tally.federation.events import Received
from tally.federation.keys import Identity
from tally.federation.messages import ALWAYS_ENCRYPTED, MessageType
from tally.federation.simulation.ledger import LedgerRules, LedgerSite, read
from tally.federation.simulation.world import Node, World
from tally.federation.state import NodeState, PeerState

MINUTE_MS = 60_000
LedgerWorld = World[LedgerSite]
LedgerNode = Node[LedgerSite]


async def pulsing(peers: int, rows: int = 50, **settings: Any) -> LedgerWorld:
    """Return a federation that has shared so many rows of each peer."""
    world = await quiet(peers, rows, **settings)
    await world.start_all()
    await rounds(world, 1)
    return world


async def quiet(peers: int, rows: int = 50, **settings: Any) -> LedgerWorld:
    """Return a federation in which nobody pulses yet."""
    world = World(1, LedgerSite, LedgerRules(), **settings)
    await world.create(peers)
    for node in world.nodes:
        node.site.learn(rows)
    return world


async def late(world: LedgerWorld, rows: int = 50) -> LedgerNode:
    """Return one more peer, which pulses."""
    node = await world.join()
    node.site.learn(rows)
    await world.start(node)
    return node


async def rounds(world: World[Any], count: int) -> None:
    """Let so many rounds pass, to the quiet half of the last."""
    await world.run_for(count * MINUTE_MS)
    into_ms = world.timeline.now_ms % MINUTE_MS
    await world.run_for(MINUTE_MS // 2 - into_ms if into_ms < MINUTE_MS // 2 else 0)


def totals(world: LedgerWorld) -> list[int]:
    """Return how many rows each peer's federated project counts; -1 if it has built none."""
    return [
        -1 if node.site.federated is None else len(read(node.site.federated))
        for node in world.nodes
    ]


def errors(node: Node[Any]) -> tuple[str, ...]:
    """Return a peer's error log."""
    return node.state.errors.entries


def broken_rows(world: LedgerWorld) -> set[str]:
    """Return rows that anybody ever counted twice."""
    return set().union(*(node.site.doubled for node in world.nodes))


def doing(node: Node[Any]) -> NodeState:
    """Return what a peer is doing now."""
    return node.state.node


async def given(
    world: World[Any], node: Node[Any], data: bytes, reply_to: str = ""
) -> Sequence[Effect]:
    """Hand a message to a peer, as from the broker, now; return what the peer does about it."""
    now_ms = world.timeline.now_ms
    return await node.up.tell(Received(now_ms, data, now_ms, reply_to=reply_to))


async def signed(
    world: World[Any], to: Node[Any], by: Identity, draft: Draft, reply_to: str = ""
) -> Sequence[Effect]:
    """Hand a peer a message that a member wrote, encrypted only where it must be."""
    encrypt = draft.type in ALWAYS_ENCRYPTED
    message = seal(draft, world.keys, by, world.rng.randbytes, encrypt=encrypt)
    return await given(world, to, message.data, reply_to)


def snapshot_marks(state: PeerState, peer: str) -> tuple[int, int]:
    """Return epoch and seq of the last snapshot that came from a peer."""
    mark = state.marks[peer][MessageType.SYNC]
    return mark.epoch, mark.seq
