"""What the protocol prescribes of contracts, exploring and leaving, number by number, over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.federation.peers import (
    create,
    cut_off,
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
from tests.integration.fusion.servers import NAMES, asked, built, coefficients, explored, third
from tests.integration.symetry import iris
from tests.integration.symetry.customer import Customer, Told

pytestmark = pytest.mark.asyncio(loop_scope="module")

SL, *OTHERS = NAMES
FLOWER = "sepal_length,Iris_versicolor"
NARROW = "sepal_width_b1,Iris_versicolor"
REFERENCE = f"""
# the values that the 150 flowers have
COUNT(sepal_length) == 150 and MEAN(sepal_width) = 3.054

VARIANCE(sepal_width) == 0.1867506667
VARIANCE_UNBIASED(sepal_width) == 0.1880040268
stddev(petal_length) == 1.7585291834
COVAR(petal_length,petal_width) == 1.2877448889
LINCORR(petal_length,petal_width) == 0.9627570971
COND_COUNT({FLOWER}) == 50   # of one species
COND_MEAN({FLOWER}) == 5.936
COND_VARIANCE({FLOWER}) == 0.261104
COND_STDDEV({FLOWER}) == 0.5109833657
COND_VARIANCE_UNBIASED({FLOWER}) == 0.2664326531
COMPL_COND_MEAN({FLOWER}) == 5.797 AND COMPL_COND_VARIANCE({FLOWER}) == 0.884691
NUM_OCCURENCE_WHEN_TRUE({NARROW}) == 34 AND NUM_OCCURENCE_WHEN_FALSE({NARROW}) == 23
PCT_OF_TRUE({NARROW}) == 68.0 AND PCT_OF_FALSE({NARROW}) == 23.0
COUNT(sepal_length)>=1 OR COUNT(sepal_length)>=1e9 AND COUNT(sepal_length)>=1e9
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Customer]]:
    async with servers(tmp_path_factory.mktemp("scenarios"), 3) as running:
        yield running


async def pulsing(owners: list[Customer], pid: str, **terms: str) -> None:
    """Have sites share a third each."""
    await federate(owners, pid, **terms)
    for number, owner in enumerate(owners):
        await learned(owner, pid, third(number))
    for owner in owners:
        await ordered(owner, pid, "startPulse")


async def counts(owner: Customer, pid: str) -> float:
    told = await asked(owner, pid)
    return float(told.values["KSVDMap"]["values"][0]["count"]) if told.status == 200 else 0.0


async def until_counted(owners: list[Customer], pid: str, count: float) -> None:
    async def counted() -> bool:
        return [await counts(owner, pid) for owner in owners] == [count] * len(owners)

    await until(counted)


async def until_logged(owner: Customer, pid: str, which: str, part: str) -> None:
    async def found() -> bool:
        return any(part in entry for entry in await log(owner, pid, which))

    await until(found)


async def counters(owner: Customer, pid: str) -> dict[str, Any]:
    told = await owner.get(f"fedml/{pid}/syncStats")
    assert told.status == 200, told.body
    return dict(told.values["fedSyncStats"])


async def test_three_thirds_give_the_model_of_the_whole(owners: list[Customer]) -> None:
    await pulsing(owners, "thirds")
    await until_counted(owners, "thirds", 150.0)
    models = [await built(owner, "thirds", "m", "mlr", SL, *OTHERS) for owner in owners]
    found = [coefficients(model) for model in models]
    assert found[0] == found[1] == found[2]
    assert found[0] == pytest.approx([0.65486424, 0.71106291, -0.56256786, 1.8450608], abs=5e-8)
    for owner in owners:
        (entry,) = {line.split(" ms:")[0] for line in await log(owner, "thirds", "getSyncLog")}
        assert entry.startswith("fedProj rebuilt done name:[thirds] id:[")
        assert entry.endswith("] type:[cpu] #peers:2")
        assert await log(owner, "thirds", "getErrorLog") == ["no error"]


@pytest.mark.parametrize(("query", "left"), [("", 100.0), ("withdraw=false", 150.0)])
async def test_who_leaves_takes_its_rows_along_or_leaves_them(
    owners: list[Customer], query: str, left: float
) -> None:
    pid = f"leaving{int(left)}"
    await pulsing(owners, pid)
    await until_counted(owners, pid, 150.0)
    told = await owners[2].call("DELETE", f"projects/{pid}", query=query)
    assert told.status == 200, told.body

    async def gone() -> bool:
        peers = (await federation_info(owners[0], pid))["peersInfo"].values()
        return any('"state":"LEFT"' in peer for peer in peers)

    await until(gone)
    await learned(owners[0], pid, third(2))  # so that there is one more rebuild
    await until_counted(owners[:2], pid, left + 50)


async def ask_of(owner: Customer, pid: str, peer: str) -> Told:
    context = {
        "targetAttributeNames": [SL],
        "inputAttributeNames": [SL],
        "extraParameters": {"fed_peer_uuid_for_explore": peer},
    }
    return await owner.post(f"projects/{pid}/explore", {"values": [context]}, "metric=uni")


async def test_another_peer_tells_of_itself_what_its_own_rows_say(owners: list[Customer]) -> None:
    ann, bob, carl = owners
    await pulsing(owners, "asked")
    await until_counted(owners, "asked", 150.0)
    assert (await bob.create("bobs")).status == 201
    await learned(bob, "bobs", third(1))
    own = await explored(bob, "bobs")
    uuid = (await federation_info(bob, "asked"))["local_uuid"]
    told = (await ask_of(ann, "asked", uuid)).values
    assert "fed_explore_stale" not in told
    (found,) = told["KSVDMap"]["values"]
    shared = {key for key, value in found.items() if value is not None}
    assert {"count", "mean", "variance", "skewness"} <= shared
    assert {key: found[key] for key in shared} == pytest.approx(
        {key: own[key] for key in shared}, rel=1e-12, abs=1e-12
    )
    # Carl hears the others, and nobody has asked Bob to share with him alone.
    async with cut_off(bob, "asked"):
        held = await ask_of(carl, "asked", uuid)
        assert held.values["fed_explore_stale"] == "true"
        assert held.values["KSVDMap"]["values"][0]["count"] == 50.0


async def test_a_peer_that_never_shared_and_does_not_answer_is_named(
    owners: list[Customer],
) -> None:
    ann, bob, _ = owners
    await federate([ann, bob], "silent")
    uuid = (await federation_info(bob, "silent"))["local_uuid"]
    told = await ask_of(ann, "silent", uuid)
    assert (told.status, told.text) == (400, f"Peer [{uuid}] has shared nothing yet")
    async with cut_off(bob, "silent"):
        told = await ask_of(ann, "silent", uuid)
    assert (told.status, told.text) == (400, f"Peer [{uuid}] did not answer")


async def test_a_contract_of_all_reference_values_is_kept(owners: list[Customer]) -> None:
    ann, bob, _ = owners
    await federate([ann, bob], "reference")
    await learned(ann, "reference", iris.frame())
    lines = REFERENCE.split("\n")
    told = await ann.post("fedml/reference/contractValidate", {"values": lines})
    assert told.values == {"status": "", "valid": True, "contractWarnings": []}
    # One entry may hold several lines.
    told = await ann.post("fedml/reference/addPsrContract", {"values": [REFERENCE]})
    assert told.status == 200, told.body
    for owner in (ann, bob):
        await ordered(owner, "reference", "startPulse")
    await until_counted([bob], "reference", 150.0)
    assert await log(ann, "reference", "getErrorLog") == ["no error"]
    assert await log(bob, "reference", "getErrorLog") == ["no error"]
    # With parentheses the last line says something else, and is not kept.
    last = lines[-2]
    first, _, rest = last.partition(" AND ")
    told = await ann.post("fedml/reference/addPsrContract", {"values": [f"({first}) AND {rest}"]})
    assert told.status == 200
    await until_logged(bob, "reference", "getErrorLog", "Contract validation failed: NOT ((COUNT(")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["", "COUNT(x >= 5"], "Line 2: syntax error at column 13 near 'end of line'"),
        (["COUNT(x) >= five"], "Line 1: syntax error at column 13 near 'five'"),
        (["SIZE(sepal_length) > 1"], "Line 1: unknown function [SIZE]"),
        (
            ["COVAR(sepal_length) > 1"],
            "Line 1: function [COVAR] expects 2 argument(s), got 1",
        ),
        (["MEAN(colour) > 1"], "Line 1: unknown feature [colour]"),
        (
            ["COND_MEAN(sepal_length,sepal_width) > 1"],
            "Line 1: feature [sepal_width] must be binary for argument 2 of [COND_MEAN], "
            "found type C",
        ),
        (["# nothing but a comment"], "Contract is empty"),
        ([], "Contract is empty"),
    ],
)
async def test_what_is_wrong_with_a_contract_is_told_to_the_letter(
    owners: list[Customer], lines: list[str], status: str
) -> None:
    told = await owners[0].post("fedml/thirds/psrContractValidate", {"values": lines})
    assert told.status == 200
    assert (told.values["status"], told.values["valid"]) == (status, False)


@pytest.mark.parametrize(
    ("send", "receive"), [("block", "block"), ("allow", "block"), ("allow", "allow")]
)
async def test_a_broken_contract_blocks_or_allows_at_both_ends(
    owners: list[Customer], send: str, receive: str
) -> None:
    ann, bob, _ = owners
    pid = f"{send}_{receive}"
    actions = {
        f"fed_psr_contract_{way}_fail_action": f"fed_psr_contract_{way}_fail_action_{action}"
        for way, action in (("snd", send), ("rcv", receive))
    }
    assert (await create(ann, pid, **actions)).status == 201
    # What a broken contract does is every peer's own choice: no invitation tells of it.
    assert (await join(bob, pid, await invited(ann, pid), **actions)).status == 201
    rule = "COUNT(sepal_length) >= 500"
    assert (await ann.post(f"fedml/{pid}/addPsrContract", [rule])).status == 200
    await learned(ann, pid, iris.frame())
    peer = (await federation_info(ann, pid))["local_uuid"]
    for owner in (ann, bob):
        await ordered(owner, pid, "startPulse")
    failed = "Contract validation failed: COUNT(sepal_length) < 500"
    await until_logged(ann, pid, "getErrorLog", failed)

    async def heard() -> bool:
        return bool((await counters(bob, pid))["rcvContractError"])

    await until(heard)
    sent, received = await counters(ann, pid), await counters(bob, pid)
    assert failed in sent["errorLog"]
    assert sent["sndContractError"] == sent["sndCount"] >= 1
    assert set(received["rcvContractError"]) == {peer}
    assert received["rcvError"] == 0
    if send == "block":
        assert received["rcvCount"] == 0
        assert any("CONTRACT: " + failed in entry for entry in sent["syncLog"])
        assert received["errorLog"] == []
    else:
        assert (received["rcvCount"], received["rcvContractError"][peer]) == (1, 1)
        assert received["errorLog"] == [f"{failed} peer:[{peer}]"]
        assert sent["sndContractError"] == 1
    if receive == "allow":
        await until_counted([bob], pid, 150.0)
    else:
        assert await counts(bob, pid) == 0.0
