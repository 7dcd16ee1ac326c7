"""Everyone reads their writes, from all shards or not at all."""

from __future__ import annotations

import asyncio

from model_api.shards.telling import STATISTICS
from tests.unit.model_api.acts import until
from tests.unit.model_api.projects.wire import questions
from tests.unit.model_api.shards.sites import Site


async def test_a_question_is_answered_from_the_rows_of_all_shards(site: Site) -> None:
    await site.create(3)
    for number in range(12):
        told = await site.learn(f"b{number}", "x,color", "CT", f"{number},red")
        assert told.status == 200, told.body
    assert len({shard for shard in site.shards if site.homes[0].has(shard)}) > 0
    assert len({shard for shard in site.shards if site.homes[1].has(shard)}) > 0
    info = (await site.ask("info")).json["smlInfo"]
    assert info["attributeNames"] == ["x", "color$red"]
    assert info["params"]["cells"] == "3"
    asked = questions({"inputAttributeNames": ["x"]})
    told = await site.ask("explore", asked, metric="uni")
    assert told.status == 200, told.body
    answer = told.json["KSVDMap"]["values"][0]
    assert (answer["count"], answer["mean"]) == (12, 5.5)


async def test_a_write_that_was_acknowledged_is_seen_by_the_next_question(site: Site) -> None:
    await site.create(4)
    for number in range(20):
        assert (await site.learn(f"b{number}", "x", "C", "1")).status == 200
        assert await site.rows() == number + 1


async def test_what_has_not_changed_is_neither_sent_nor_added_up_again(site: Site) -> None:
    await site.create(3)
    await site.learn("b1", "x", "C", "1")
    await site.rows()
    home = await site.homes[0].ask(site.project)
    total = home.project
    await site.rows()
    assert home.project is total


async def test_whoever_comes_while_shards_are_asked_waits_for_the_next_time(site: Site) -> None:
    await site.create(2)
    await site.learn("b1", "x", "C", "1")
    site.gate.clear()
    first = asyncio.create_task(site.rows())
    await until(lambda: len(site.asked) == 2, "the shards are being asked")
    site.gate.set()
    late = [asyncio.create_task(site.rows()) for _ in range(5)]
    await site.learn("b2", "x", "C", "2")
    assert await first >= 1
    await asyncio.gather(*late)
    assert await site.rows() == 2
    # Once for the first, once for all late ones, perhaps one of which came later, and the last.
    assert len([verb for verb, _ in site.asked if verb == STATISTICS]) <= 2 * 4


async def test_no_question_is_answered_without_all_shards(site: Site) -> None:
    await site.create(3)
    await site.learn("b1", "x", "C", "1")
    assert await site.rows() == 1
    site.gone = {1}
    told = await site.ask("info")
    assert told.status == 503
    assert told.text == ("Cell 1 of the project does not answer: no worker has announced itself")
    site.gone = set()
    assert await site.rows() == 1


async def test_a_home_that_has_asked_no_shard_yet_answers_nothing(site: Site) -> None:
    await site.create(2)
    await site.learn("b1", "x", "C", "1")
    home = await site.homes[0].ask(site.project)
    assert home.summed is not None
    assert home.summed.total is None
    assert await site.rows() == 1
    assert (await site.ask("unload")).status == 200
    assert await site.rows() == 1


async def test_models_stand_on_the_versions_of_all_shards(site: Site) -> None:
    await site.create(2)
    for number in range(8):
        rows = [f"{number}.{k},{2 * number + k % 2}" for k in range(4)]
        await site.learn(f"b{number}", "x,y", "CC", *rows)
    context = {"targetAttributeNames": ["y"], "inputAttributeNames": ["x"]}
    told = await site.ask("build", context, batch="m1", modelid="m", algo="mlr")
    assert told.status == 200, told.body
    assert (await site.ask("unload", batch="u")).status == 200
    told = await site.ask("modelInfo", modelid="m")
    assert all(shard in told.body.decode() for shard in site.shards)
