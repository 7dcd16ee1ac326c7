"""A peer whose local project is a fusion over sites that are in no federation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.federation.peers import (
    create,
    federate,
    federation_info,
    invited,
    join,
    learned,
    log,
    ordered,
    servers,
    until,
)
from tests.integration.fusion.servers import (
    ALWAYS,
    NAMES,
    asked,
    built,
    cell,
    fetch_error,
    fuse,
    learn,
    sealed,
    third,
)
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("hybrid"), 2, ALWAYS) as running:
        yield running


def fifth(number: int, rows: int = 30) -> dict[str, Any]:
    """Return the rows of one of five sites."""
    whole = third(0)
    data = [row for part in range(3) for row in third(part)["data"]]
    return {**whole, "data": data[number::5][:rows]}


async def counts(owner: Customer, pid: str) -> float:
    told = await asked(owner, pid)
    return float(told.values["KSVDMap"]["values"][0]["count"]) if told.status == 200 else 0.0


async def until_counted(owner: Customer, pid: str, count: float) -> None:
    async def counted() -> bool:
        return await counts(owner, pid) == count

    await until(counted)


async def until_logged(owner: Customer, pid: str, which: str, part: str) -> None:
    async def found() -> bool:
        return any(part in entry for entry in await log(owner, pid, which))

    try:
        await until(found)
    except TimeoutError:
        pytest.fail(f"{part!r} is not in {await log(owner, pid, which)}")


async def hybrid(owners: list[Customer], pid: str) -> None:
    """Have three peers in a federation, the third of which is a fusion over two sites."""
    ann, bob = owners
    for number in (3, 4):
        await learn(bob, f"{pid}{number + 1}", fifth(number))
    made = await fuse(bob, f"{pid}centre", cell(bob, f"{pid}4"), cell(bob, f"{pid}5"))
    assert made.status == 201, made.body
    await federate(owners, f"{pid}1")
    invitation = await invited(ann, f"{pid}1")
    assert (await join(ann, f"{pid}2", invitation)).status == 201
    invitation = await invited(ann, f"{pid}1")
    told = await join(bob, f"{pid}3", invitation, fed_local_type=f"fusion:{pid}centre")
    assert told.status == 201, told.body


async def test_peers_see_all_sites_and_the_sites_behind_a_fusion_only_their_own(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    await hybrid(owners, "five")
    assert await counts(bob, "five3") == 60.0  # its own, before the first round
    places = [(ann, "five1"), (bob, "five1"), (ann, "five2"), (bob, "five3")]
    for number, (owner, pid) in enumerate(places[1:3]):
        await learned(owner, pid, fifth(number))
    await learned(ann, "five1", fifth(2))
    for owner, pid in places:
        await ordered(owner, pid, "startPulse")
    for owner, pid in places:
        await until_counted(owner, pid, 150.0)
    for site in ("five4", "five5"):
        assert await counts(bob, site) == 30.0
    # As a cell of another fusion, it still tells whose rows it has.
    assert (await fuse(bob, "fiveall", cell(bob, "five3"), cell(bob, "five4"))).status == 201
    assert await counts(bob, "fiveall") == 60.0
    assert "DUPLICATE_SOURCE" in await fetch_error(bob, "fiveall")
    # A model names every site whose rows are in it.
    model = await built(ann, "five1", "m", "mlr", *NAMES)
    told = [text.split() for key, text in model["info"].items() if key.startswith("source_")]
    assert [rows for _, _, rows in told] == ["30"] * 5
    refused = await bob.post("projects/five3/learn", fifth(0))
    assert (refused.status, refused.text) == (
        400,
        "Operation [learn] is not available on a Fusion project",
    )
    # A site that learns so many is in everyone's next round; one that learns few is waited for.
    await learned(bob, "five4", fifth(0, 8))
    await until_logged(bob, "five3", "getSyncLog", "to 8 rows more or less")
    await learned(bob, "five4", fifth(1, 1))
    await until_counted(ann, "five2", 159.0)
    # One that is gone counts as it was.
    assert (await bob.call("DELETE", "projects/five5")).status == 200
    await until_logged(bob, "five3", "getErrorLog", "five5] NO_SUCH_PROJECT")
    assert await counts(ann, "five1") == 159.0
    # Nor does the peer lose what the fusion gave when that is gone itself.
    assert (await bob.call("DELETE", "projects/fivecentre")).status == 200
    await until_logged(bob, "five3", "getErrorLog", "the local one was not asked: ")
    assert await counts(ann, "five1") == 159.0
    assert await counts(bob, "five3") == 159.0


async def test_a_site_that_left_a_fusion_and_comes_back_is_compared_with_what_it_left_with(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    sites = [cell(bob, "back1"), cell(bob, "back2")]
    for number, pid in enumerate(("back1", "back2")):
        await learn(bob, pid, fifth(number))

    async def of(*cells: dict[str, str]) -> None:
        path = "projects/fusion/backcentre/updateCellsInfo"
        assert (await bob.post(path, sealed(bob, cells))).status == 200

    assert (await fuse(bob, "backcentre", *sites)).status == 201
    assert (await create(ann, "back")).status == 201
    invitation = await invited(ann, "back")
    told = await join(bob, "back", invitation, fed_local_type="fusion:backcentre")
    assert told.status == 201, told.body
    for owner in owners:
        await ordered(owner, "back", "startPulse")
    await until_counted(ann, "back", 60.0)
    await of(sites[0])
    await until_counted(ann, "back", 30.0)
    await learned(bob, "back2", fifth(2, 1))
    await of(*sites)
    await until_logged(bob, "back", "getSyncLog", "to 1 rows more or less")
    await learned(bob, "back2", fifth(3, 8))
    await until_counted(ann, "back", 69.0)


async def test_rows_that_are_in_the_federation_already_are_not_counted_twice(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    await federate(owners, "twice")
    await learned(bob, "twice", third(1))
    await learn(bob, "twicesite", third(0))
    for pid, site in (("twiceown", "twice"), ("twicesum", "twicesite")):
        assert (await fuse(bob, pid, cell(bob, site))).status == 201
    for pid, centre in (("twice3", "twiceown"), ("twice4", "twicesum"), ("twice5", "twicesum")):
        invitation = await invited(ann, "twice")
        told = await join(bob, pid, invitation, fed_local_type=f"fusion:{centre}")
        assert told.status == 201, told.body
    for owner, pid in ((ann, "twice"), *((bob, f"twice{n}") for n in ("", 3, 4, 5))):
        await ordered(owner, pid, "startPulse")
    # Both fusions have the rows of one site: the first of them counts.
    await until_logged(ann, "twice", "getSyncLog", "DUPLICATE_SOURCE")
    await until_counted(ann, "twice", 100.0)
    peer = (await federation_info(bob, "twice"))["local_uuid"]
    await until_logged(bob, "twice3", "getErrorLog", f"they have rows of peer [{peer}]")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"fed_local_type": "fusion:nothing"},
            "Cannot Find SYMETRYML id[nothing] for Customer id [customer0]",
        ),
        ({"fed_local_type": "fusion:plain"}, "Project [plain] is not a fusion project"),
        (
            {"fed_local_type": "fusion:plain", "fed_enforce_hipaa_compliance": "true"},
            "Invalid value of [fed_local_type]: patients do not pass through a fusion; "
            "fed_enforce_hipaa_compliance is true",
        ),
        (
            {"fed_local_type": "fusion:"},
            "Invalid value of [fed_local_type]: 'fusion:' is neither cpu, gpu, partition nor "
            "fusion: and a project",
        ),
    ],
)
async def test_what_is_no_fusion_is_refused_by_name(
    owners: list[Customer], change: dict[str, str], text: str
) -> None:
    ann = owners[0]
    await ann.create("plain")
    told = await create(ann, "refused", **change)
    assert (told.status, told.text) == (400, text)


async def test_members_of_one_federation_are_counted_once_in_a_fusion(
    owners: list[Customer],
) -> None:
    ann, bob = owners
    await federate(owners, "members")
    assert (await join(bob, "members3", await invited(ann, "members"))).status == 201
    places = [(ann, "members"), (bob, "members"), (bob, "members3")]
    for number, (owner, pid) in enumerate(places):
        await learned(owner, pid, third(number))
        await ordered(owner, pid, "startPulse")
    for owner, pid in places:
        await until_counted(owner, pid, 150.0)
    cells = [{**cell(owner, pid), "host": owner.url, "scope": "federated"} for owner, pid in places]
    told = await fuse(bob, "membersum", *cells)
    assert told.status == 201, told.body
    assert await counts(bob, "membersum") == 150.0
    assert (await fetch_error(bob, "membersum")).count("DUPLICATE_SOURCE") == 2
    local = [{**one, "scope": "local"} for one in cells]
    assert (await fuse(bob, "memberlocal", *local)).status == 201
    assert await counts(bob, "memberlocal") == 150.0
    assert (await federation_info(bob, "members"))["is_connected"]
