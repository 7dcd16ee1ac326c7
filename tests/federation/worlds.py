"""Federations for tests: small, in virtual time, and with nothing wrong unless a test says so."""

from __future__ import annotations

from typing import Any

from tally.federation.messages import MessageType
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


async def rounds(world: LedgerWorld, count: int) -> None:
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


def errors(node: LedgerNode) -> tuple[str, ...]:
    """Return a peer's error log."""
    return node.state.errors.entries


def broken_rows(world: LedgerWorld) -> set[str]:
    """Return rows that anybody ever counted twice."""
    return set().union(*(node.site.doubled for node in world.nodes))


def doing(node: LedgerNode) -> NodeState:
    """Return what a peer is doing now."""
    return node.state.node


def snapshot_marks(state: PeerState, peer: str) -> tuple[int, int]:
    """Return epoch and seq of the last snapshot that came from a peer."""
    mark = state.marks[peer][MessageType.SYNC]
    return mark.epoch, mark.seq
