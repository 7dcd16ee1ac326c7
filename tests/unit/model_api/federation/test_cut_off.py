"""Whoever makes a federated project may be killed at any step: the others bring it to an end."""

from __future__ import annotations

from functools import partial
from itertools import count

import pytest

from model_api.federation.making import Order
from model_api.federation.watching import MAKING_S
from tally.federation.events import Leave
from tally.federation.messages import Standing
from tally.federation.state import NodeState
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused
from tests.unit.model_api.acts import eventually, until
from tests.unit.model_api.federation.sites import (
    TERMS,
    Federations,
    Life,
    Place,
    invited,
    killed,
    order,
)


async def test_of_a_federation_whose_maker_is_killed_there_is_all_or_nothing(
    federations: Federations,
) -> None:
    found = set()
    for steps in count():
        life, pid = Life(steps), f"m{steps}"
        async with federations.place("ann", life) as place:
            if not await killed(life, place.making.create(order(pid), TERMS)):
                break
        async with federations.place("ann") as place:
            await federations.settled(place)
            name = await place.homes.projects.names.find("c1", pid)
            if name is not None:
                running = await place.peers.ask(name.project)
                assert running.state.node is NodeState.IDLE
                await running.driver.tell(Leave(running.driver.now_ms()))
                await federations.gone(place, name.project)
            assert not any(broker.streams for broker in federations.broker.brokers.values())
            assert await place.entries() == {}
            found.add(name is not None)
    assert found == {False, True}


async def test_of_a_node_whose_maker_is_killed_the_federation_keeps_all_or_nothing(
    federations: Federations,
) -> None:
    found = set()
    async with federations.place("ann") as admin:
        await admin.making.create(order("m"), TERMS)
        (federation,) = await admin.entries()
        for steps in count():
            life, asked = Life(steps), order(f"m{steps}")
            terms = await invited(admin, federation)
            async with federations.place("bob", life) as place:
                if not await killed(life, place.making.join(asked, terms)):
                    break
            async with federations.place("bob") as place:
                await federations.settled(place)
                name = await place.homes.projects.names.find("c1", asked.pid)
                if name is not None:
                    running = await place.peers.ask(name.project)
                    assert member(admin, federation, asked) is Standing.ACTIVE
                    await running.driver.tell(Leave(running.driver.now_ms()))
                    await federations.gone(place, name.project)
                await eventually(partial(left, admin, federation, asked), "the admin lets it go")
                assert await place.entries() == {}
            (broker,) = federations.broker.brokers.values()
            assert broker.asked.keys() == {federation}
            errors = (await admin.peers.ask(federation)).state.errors.entries
            assert errors == ()  # nobody says goodbye who never came
            found.add(name is not None)
    assert found == {False, True}


async def test_of_a_federation_in_memory_whose_maker_is_killed_nothing_is_left(
    federations: Federations,
) -> None:
    for steps in count():
        life, asked = Life(steps), order(f"m{steps}", persisted=False)
        async with federations.place("ann", life) as place:
            if not await killed(life, place.making.create(asked, TERMS)):
                break
        async with federations.place("ann") as place:
            await place.watch.walk()
            await federations.clock.advance(MAKING_S + 1)

            async def ended(place: Place = place) -> bool:
                await place.watch.walk()
                await federations.clock.advance(1.0)
                federations.wake()
                return await place.entries() == {}

            await eventually(ended, f"nothing is left after {steps} steps")
            assert await place.homes.projects.names.find("c1", asked.pid) is None
        assert not any(broker.streams for broker in federations.broker.brokers.values())
    assert steps > 10


async def test_a_federation_in_memory_ends_for_all_when_its_admins_worker_dies(
    federations: Federations,
) -> None:
    async with federations.place("bob") as other:
        async with federations.place("ann") as place:
            asked = order("m", persisted=False)
            await place.making.create(asked, TERMS)
            joined = order("m")
            await other.making.join(joined, await invited(place, asked.project))
        async with federations.place("ann") as place:
            await place.watch.walk()
            assert place.peers.running(asked.project) is None
            await federations.clock.advance(MAKING_S + 1)
            await place.watch.walk()

            async def detached() -> bool:
                return (await other.peers.ask(joined.project)).state.node is NodeState.DETACHED

            async def ended() -> bool:
                await federations.clock.advance(1.0)
                federations.wake()
                return await place.entries() == {}

            await eventually(detached, "the other one hears of the end")
            await eventually(ended, "nothing is left")


async def test_of_a_node_whose_maker_is_killed_nothing_is_left_where_the_federation_has_ended(
    federations: Federations,
) -> None:
    async with federations.place("ann") as admin:
        asked, joined, life = order("m"), order("m"), Life(9)
        await admin.making.create(asked, TERMS)
        terms = await invited(admin, asked.project)
        async with federations.place("bob", life) as place:
            assert await killed(life, place.making.join(joined, terms))
        running = await admin.peers.ask(asked.project)
        await running.driver.tell(Leave(running.driver.now_ms()))
        await federations.gone(admin, asked.project)
    async with federations.place("bob") as place:
        assert (await place.entries()).keys() == {joined.project}
        await place.watch.walk()
        await federations.clock.advance(MAKING_S + 1)
        await place.watch.walk()
        await eventually(partial(none, place), "it is settled at the first try")


async def test_who_fails_undoes_at_once_and_who_cannot_is_helped(
    federations: Federations,
) -> None:
    async with federations.place("ann") as place:
        first = order("taken")
        await place.making.create(first, TERMS)
        with pytest.raises(Refused, match="already"):
            await place.making.create(order("taken"), TERMS)
        assert (await place.entries()).keys() == {first.project}
        assert sum(bool(broker.streams) for broker in federations.broker.brokers.values()) == 1
        terms = {**TERMS, "nats_hosts": "nats://127.0.0.1:1"}
        with pytest.raises(Refused, match="Cannot create federation"):
            await place.making.create(order("away"), terms)
        (entry,) = [one for one in (await place.entries()).values() if not one.made]
        assert len(entry.undo) == 1
        assert "127.0.0.1" not in repr(entry.undo[0].box)
        await place.watch.walk()
        wait_s = MAKING_S
        while wait_s < 24 * 3600.0:  # the ninth time, after a day, nobody tries any more
            assert (await place.entries()).keys() > {first.project}
            await federations.clock.advance(wait_s)
            await place.watch.walk()
            await until(lambda: not place.watch.settling, "it was tried")
            wait_s *= 2
        await eventually(lambda: only(place, first.project), "the other one is forgotten")


def member(place: Place, federation: ProjectUuid, asked: Order) -> Standing | None:
    """Return how the admin has another peer in its roster."""
    running = place.peers.running(federation)
    assert running is not None
    found = running.state.member(asked.project)
    return None if found is None else found.state


async def left(place: Place, federation: ProjectUuid, asked: Order) -> bool:
    return member(place, federation, asked) in (None, Standing.LEFT)


async def none(place: Place) -> bool:
    return await place.entries() == {}


async def only(place: Place, project: ProjectUuid) -> bool:
    return (await place.entries()).keys() == {project}
