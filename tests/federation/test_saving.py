"""Nothing is said before it is saved, so that only the owner of a peer's record speaks for it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tally.errors import ClaimLost
from tally.federation.effects import (
    Acknowledge,
    Persist,
    PublishControl,
    PublishSnapshot,
    PublishState,
    Reply,
    Request,
)
from tally.federation.events import Event
from tally.federation.peer import Peer, Step
from tally.federation.simulation import world as worlds_module
from tally.federation.simulation.replay import replay
from tally.federation.state import PeerState
from tests.federation.worlds import MINUTE_MS, pulsing, rounds, totals

SAYING = (PublishSnapshot, PublishControl, PublishState, Request, Reply)


class Watched(Peer):
    """A machine that is held to its promise at every step."""

    said = 0

    def step(self, state: PeerState, event: Event) -> Step:
        after = super().step(state, event)
        saying = [effect for effect in after.effects if isinstance(effect, SAYING)]
        Watched.said += len(saying)
        assert not saying or isinstance(after.effects[0], Persist)
        assert (after.state is not state) == (Persist() in after.effects)
        acknowledged = [k for k, e in enumerate(after.effects) if isinstance(e, Acknowledge)]
        assert not acknowledged or after.effects[:1] == (Persist(),) or after.state is state
        return after


async def test_in_every_story_a_peer_saves_before_it_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worlds_module, "Peer", Watched)
    for seed in range(500, 506):
        outcome = await replay(seed, 3, 4)
        assert not outcome.faults
    assert Watched.said > 100


async def test_what_comes_together_is_saved_once_before_any_of_it_is_acknowledged() -> None:
    world = await pulsing(9)
    node = world.nodes[0]
    saved = 0
    acknowledged: list[str] = []
    original_save, original_acknowledge = node.journal.save, node.transport.acknowledge

    async def save(record: bytes, snapshots: Mapping[str, bytes]) -> None:
        nonlocal saved
        saved += 1
        assert len(acknowledged) in (0, 8)
        await original_save(record, snapshots)

    async def acknowledge(token: str) -> None:
        acknowledged.append(token)
        await original_acknowledge(token)

    for other in world.nodes[1:]:
        other.site.learn(20)
    world.faults.cut_off.add(node.uuid)
    await rounds(world, 1)
    world.faults.cut_off.clear()
    node.journal.save = save  # type: ignore[method-assign]
    node.transport.acknowledge = acknowledge  # type: ignore[method-assign]
    assert await node.up.drain() == 8
    assert len(acknowledged) == 8
    assert saved == 1


async def test_who_cannot_save_any_more_says_nothing_and_the_new_owner_goes_on() -> None:
    world = await pulsing(2)
    node = world.nodes[1]
    old = node.up
    stream = world.broker.streams["sync"]
    world.crash(node, 1_000)  # another worker takes over; the old one does not know
    await world.run_for(3_000)
    assert node.up is not old

    def lost() -> bool:
        raise ClaimLost("another worker has it")

    saved = node.journal.dies
    node.site.learn(20)
    await world.run_for(MINUTE_MS // 2)
    before = [stored.data for stored in stream.of(node.uuid)]
    node.journal.dies = lost
    for call in (old.wake, old.request_sync):
        with pytest.raises(ClaimLost):
            await call()
    assert [stored.data for stored in stream.of(node.uuid)] == before
    node.journal.dies = saved
    await rounds(world, 1)
    assert totals(world) == [120, 120]
