"""Invitations that are too old, and calls that end half-way: nothing is left of them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

import model_api.federation.wiring
import model_api.wiring
from model_api.federation.making import Making, Order
from model_api.federation.wiring import IN_PROCESS
from model_api.projects.homes import Homes
from tally.clock import SystemClock
from tally.federation.keys import federation_id
from tally.federation.memory import MemoryBroker, MemoryTransport
from tally.projects.names import Names
from tally.projects.peers import PeerIndex
from tally.projects.projects import new_project_uuid
from tests.integration.federation.peers import (
    TERMS,
    create,
    federation_info,
    invited,
    join,
    servers,
    until,
)
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Shifted(SystemClock):
    """A clock that a test puts forward."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + Shifted.ahead


class Site:
    """What the tests use of a server.

    Attributes:
        owner: its customer.
        making: what its worker makes federated projects with.
    """

    def __init__(self, owner: Customer, making: Making) -> None:
        self.owner = owner
        self.making = making


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    made: list[Making] = []

    class Kept(Making):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_api.wiring, "SystemClock", Shifted)
        patch.setattr(model_api.federation.wiring, "Making", Kept)
        patch.setattr(IN_PROCESS, "clock", Shifted())
        async with servers(tmp_path_factory.mktemp("undoing"), 1) as (owner,):
            yield Site(owner, made[0])


def broker_of(invitation: Mapping[str, str]) -> MemoryBroker:
    secret = base64.b64decode(invitation["fed_secret_key"])
    return IN_PROCESS.brokers[federation_id(invitation["fed_name"], secret)]


def kept(broker: MemoryBroker) -> object:
    """Return what a broker has, and for whom."""
    streams = {name: sorted(stream.consumers) for name, stream in broker.streams.items()}
    return streams, sorted(broker.objects), sorted(broker.asked)


async def projects(owner: Customer) -> list[str]:
    return list((await owner.get("projects/list")).values["stringList"]["values"])


async def test_an_invitation_can_be_used_for_two_hours(site: Site) -> None:
    ann = site.owner
    assert (await create(ann, "late")).status == 201
    in_time, too_late = [await invited(ann, "late") for _ in range(2)]
    longer = await invited(ann, "late", fed_token_timeout_hours="3")
    peers = (await federation_info(ann, "late"))["peersInfo"]
    try:
        Shifted.ahead = timedelta(hours=1, minutes=59)
        assert (await join(ann, "intime", in_time)).status == 201
        before = kept(broker_of(too_late))
        Shifted.ahead = timedelta(hours=2, minutes=1)
        told = await join(ann, "toolate", too_late)
        assert (told.status, told.text) == (400, "Federation token has expired")
        assert "toolate" not in await projects(ann)
        assert kept(broker_of(too_late)) == before
        assert len((await federation_info(ann, "late"))["peersInfo"]) == len(peers) + 1
        assert (await join(ann, "longer", longer)).status == 201
    finally:
        Shifted.ahead = timedelta()


Step = Callable[..., Awaitable[object]]

STEPS: list[tuple[bool, type, str]] = [
    (True, MemoryTransport, "create"),
    (True, PeerIndex, "add"),
    (True, Names, "take"),
    (False, MemoryTransport, "create"),
    (False, Names, "take"),
    (False, Homes, "change"),
]
"""What it takes to make a federation, that is saved or not."""


def stopped_after(step: Step, reached: asyncio.Event) -> Step:
    """Return a step that is done, and the first time never returns."""

    async def never(*given: Any, **named: Any) -> object:
        done = await step(*given, **named)
        if not reached.is_set():
            reached.set()
            await asyncio.Event().wait()
        return done

    return never


@pytest.mark.parametrize(("persisted", "owner", "name"), STEPS)
async def test_of_a_creation_that_nobody_waits_for_nothing_is_left(
    site: Site, monkeypatch: pytest.MonkeyPatch, persisted: bool, owner: type, name: str
) -> None:
    reached, brokers = asyncio.Event(), set(IN_PROCESS.brokers)
    order = Order(new_project_uuid(), site.owner.cid, "half", persisted)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopped_after(getattr(owner, name), reached))
        making = asyncio.create_task(site.making.create(order, TERMS))
        await reached.wait()
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
    (made,) = set(IN_PROCESS.brokers) - brokers
    assert kept(IN_PROCESS.brokers[made]) == ({}, [], [])
    assert "half" not in await projects(site.owner)
    assert (await create(site.owner, "half")).status == 201
    assert (await site.owner.call("DELETE", "projects/half")).status == 200


@pytest.mark.parametrize(
    ("owner", "name"), [(MemoryTransport, "connect"), (MemoryTransport, "request"), (Names, "take")]
)
async def test_of_a_join_that_nobody_waits_for_nothing_is_left_but_that_the_token_was_used(
    site: Site, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    ann = site.owner
    pid = f"of{name}"
    assert (await create(ann, pid)).status == 201
    invitation = await invited(ann, pid)
    before, reached = kept(broker_of(invitation)), asyncio.Event()
    order = Order(new_project_uuid(), ann.cid, "half", True)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopped_after(getattr(owner, name), reached))
        joining = asyncio.create_task(site.making.join(order, invitation))
        await reached.wait()
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
    assert kept(broker_of(invitation)) == before
    assert "half" not in await projects(ann)
    if owner is Names:  # the admin has answered, so that the node could say goodbye

        async def left() -> bool:
            peers = (await federation_info(ann, pid))["peersInfo"]
            return bool(json.loads(peers[order.project])["state"] == "LEFT")

        await until(left)
