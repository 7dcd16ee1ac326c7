"""Two sites over a real broker: a site's worker is killed, then the broker."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from tests.integration.federation.peers import (
    create,
    federation_info,
    invited,
    join,
    learned,
    ordered,
)
from tests.integration.federation.peers import until as until_there
from tests.integration.fusion.servers import explored, third
from tests.integration.symetry.customer import Customer
from tests.system.cluster import Cluster
from tests.system.projects import Customer as Registered
from tests.system.projects import start_workers

if TYPE_CHECKING:
    from tests.conftest import Server

_OPTIONS = "sml.fed.allow.second.schedule = 1\n"


async def _customer(cluster: Cluster, session: aiohttp.ClientSession, cid: str) -> Customer:
    key = (await Registered.made(cluster, cid)).key
    (broker,) = cluster.alive("broker", "up")
    return Customer(session, f"http://127.0.0.1:{broker.port}", cid, key)


async def test_a_peer_pulses_on_when_its_worker_is_killed_and_when_the_broker_is(
    private_nats: Server, tmp_path: Path
) -> None:
    options = tmp_path / "options.properties"
    options.write_text(_OPTIONS)
    for folder in ("ann", "bob"):
        (tmp_path / folder).mkdir()
    settings = {"OPTIONS_FILE": str(options), "OUTBOUND_NETWORKS": "127.0.0.0/8"}
    async with (
        aiohttp.ClientSession() as session,
        Cluster(tmp_path / "ann", settings) as here,
        Cluster(tmp_path / "bob", settings) as there,
    ):
        here.everything()
        await there.start(workers=0, fitters=0)
        start_workers(there, 2)
        await here.ready()
        ann = await _customer(here, session, "ann")
        bob = await _customer(there, session, "bob")
        name = f"deaths{uuid.uuid4().hex[:8]}"
        terms = {"fed_name": name, "nats_hosts": private_nats.url, "sync_sched": "s1"}
        told = await create(ann, "m1", **terms)
        assert told.status == 201, told.body
        told = await join(bob, "m1", await invited(ann, "m1"))
        assert told.status == 201, told.body
        for number, owner in enumerate((ann, bob)):
            await learned(owner, "m1", third(number))
            await ordered(owner, "m1", "startPulse")

        async def counted(count: float) -> bool:
            found = [(await explored(owner, "m1"))["count"] for owner in (ann, bob)]
            return found == [count] * 2

        await until_there(lambda: counted(100.0))

        async with Registered.registered(there, "other") as registered:
            assert registered.projects is not None
            found = await registered.projects.names.find("bob", "m1")
            assert found is not None
            head = await registered.projects.head(found.project)
            assert head is not None
            home = next(p for p in there.alive("serve") if p.setting("WORKER_PORT") in head.node)

        async def epoch() -> int:
            (peer,) = (await federation_info(ann, "m1"))["peersInfo"].values()
            told = json.loads(peer)
            assert told["state"] in ("ACTIVE", "STALE")
            return int(told["lastSync"])

        home.kill()
        silent_since = await epoch()

        async def heard() -> bool:
            # Bob's server is asked nothing: that it is heard tells that somebody took it up.
            return await epoch() > silent_since + 2_000

        await until_there(heard)
        await learned(bob, "m1", third(2))
        await until_there(lambda: counted(150.0))

        # With it go the snapshots, which it has in memory only.
        await asyncio.to_thread(private_nats.kill)
        await learned(ann, "m1", third(1))
        await asyncio.to_thread(private_nats.start)
        await until_there(lambda: counted(200.0), 60.0)
        for owner in (bob, ann):
            assert (await owner.call("DELETE", "projects/m1")).status == 200
