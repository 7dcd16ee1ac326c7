"""What shards learn and forget counts once, and means the same in all of them."""

from __future__ import annotations

import asyncio

import msgspec

from model_api.shards.telling import STATISTICS
from tally.projects.records import Options
from tally.projects.shards import shard_for
from tally.wire.projects import FENCE
from tests.unit.model_api.projects.wire import frame
from tests.unit.model_api.shards.sites import Site


async def test_a_batch_sent_again_meets_its_own_shard_and_counts_once(site: Site) -> None:
    await site.create(4)
    for _ in range(2):
        for number in range(10):
            assert (await site.learn(f"b{number}", "x", "C", "1")).status == 200
    assert await site.rows() == 10
    told = await site.learn("b3", "x", "C", "2")
    assert (told.status, "was used for another request" in told.text) == (422, True)


async def test_shards_that_learn_a_name_at_once_agree_on_its_type_and_order(site: Site) -> None:
    await site.create(8)
    assert await site.rows() == 0  # all are in memory, and none knows a name
    sent = [site.learn(f"b{number}", f"x{number % 5},x", "CC", "1.5,2") for number in range(40)]
    assert {told.status for told in await asyncio.gather(*sent)} == {200}
    assert await site.rows() == 40
    names = (await site.ask("info")).json["smlInfo"]["attributeNames"]
    assert sorted(names) == ["x", "x0", "x1", "x2", "x3", "x4"]
    assert (await site.learn("more", "y,x4", "CC", "1,1")).status == 200
    assert (await site.ask("info")).json["smlInfo"]["attributeNames"] == [*names, "y"]


async def test_a_name_is_refused_in_another_type_than_another_shard_has(site: Site) -> None:
    await site.create(8)
    assert (await site.learn("b0", "x,note", "CS", "1.5,hello")).status == 200
    for number in range(1, 17):
        told = await site.learn(f"b{number}", "x,note", "TS", "a,hello")
        assert told.status == 400
        assert "sent as type T; the project knows it as C" in told.text
        told = await site.learn(f"c{number}", "note", "C", "1")
        assert "sent as type C; the project knows it as S" in told.text
    assert await site.rows() == 1


async def test_of_shards_that_meet_a_name_at_once_in_two_types_one_type_wins(site: Site) -> None:
    await site.create(8)
    assert await site.rows() == 0
    sent = [
        site.learn(f"b{number}", "x", "CT"[number % 2], "1" if number % 2 else "1.5")
        for number in range(16)
    ]
    told = await asyncio.gather(*sent)
    assert {one.status for one in told[::2]} | {one.status for one in told[1::2]} == {200, 400}
    assert len({one.status for one in told[::2]}) == len({one.status for one in told[1::2]}) == 1
    assert await site.rows() == 8


async def test_rows_are_forgotten_in_whichever_shard_and_no_more_than_were_learned(
    site: Site,
) -> None:
    await site.create(3)
    for number in range(6):
        await site.learn(f"b{number}", "x,color", "CT", f"{number},red", f"{number},blue")
    for number in range(6):
        told = await site.forget(f"f{number}", "x,color", "CT", f"{number},red")
        assert told.status == 200, told.body
    assert await site.rows() == 6
    told = await site.forget("g0", "x,color", "CT", "1,red")
    assert told.status == 400
    assert told.text.startswith("Invalid DataFrame: color$red: ")
    told = await site.forget("g1", "y", "C", "1")
    assert told.text == "Invalid DataFrame: y: 1 rows would be forgotten, but 0 were learned"
    # One that was counted is told so, although its rows could not be forgotten once more.
    assert (await site.forget("f0", "x,color", "CT", "0,red")).status == 200
    assert (await site.forget("f0", "x,color", "CT", "1,red")).status == 422
    for number in range(6):
        told = await site.forget(f"h{number}", "x,color", "CT", f"{number},blue")
        assert told.status == 200, told.body
    assert await site.rows() == 0
    project = (await site.homes[0].ask(site.project)).project
    assert all(not array.any() for array in project.summary.sums.arrays)


async def test_a_shard_forgets_what_only_others_have_learned_since_it_was_loaded(
    site: Site,
) -> None:
    await site.create(2)
    assert await site.rows() == 0
    at: dict[str, str] = {}
    for number in range(20):
        at.setdefault(shard_for(site.project, 2, f"b{number}"), f"b{number}")
    one, other = at.values()
    assert (await site.learn(one, "x,color", "CT", "1,red", "2,blue")).status == 200
    told = await site.forget(other, "x,color", "CT", "1,red")
    assert told.status == 200, told.body
    assert await site.rows() == 1


async def test_of_forgets_of_the_same_rows_at_once_one_is_made(site: Site) -> None:
    await site.create(3)
    await site.learn("b0", "x", "C", "1.5")
    told = await asyncio.gather(*(site.forget(f"f{k}", "x", "C", "1.5") for k in range(6)))
    assert sorted(one.status for one in told) == [200] + [400] * 5
    assert await site.rows() == 0


async def test_more_forgotten_than_learned_is_told_until_it_is_learned(site: Site) -> None:
    await site.create(2)
    await site.learn("b0", "x", "C", "1.5")
    # As a home would that judges wrongly.
    shard = shard_for(site.project, 2, "f0")
    home = site.workers[(site.shards.index(shard) + 1) % 2]
    fence = {FENCE: str(2**50)}
    assert (await home(shard, STATISTICS, headers=fence)).status == 200
    told = await home(shard, "forget", frame("x", "C", "1", "2"), batch="f0", headers=fence)
    assert told.status == 200
    told = await site.ask("snapshot")
    assert told.status == 400
    assert told.text == (
        "Project [p] cannot answer: more rows were forgotten than learned: data: 2 rows would be "
        "forgotten, but 1 were learned"
    )
    assert (await site.ask("info")).json["smlInfo"]["attributeNames"] == ["x"]
    await site.learn("b1", "x", "C", "0.5")
    assert await site.rows() == 0


async def test_rows_are_merged_into_one_shard(site: Site) -> None:
    await site.create(3)
    other = await site.homes[0].projects.create("c1", "other", Options())
    for number in range(3):
        told = await site.workers[0](other, "learn", frame("x,y", "CC", "1,2"), batch=f"{number}")
        assert told.status == 200
    snapshot = (await site.workers[0](other, "snapshot")).body
    for _ in range(2):
        told = await site.ask("merge", snapshot, batch="m", other=other)
        assert told.status == 200, told.body
    assert await site.rows() == 3
    whole = (await site.ask("snapshot")).body
    assert (await site.workers[0](other, "merge", whole, batch="n", other="x")).status == 200
    assert (await site.homes[0].ask(other)).project.row_count == 6


async def test_the_log_counts_the_calls_of_all_shards(site: Site) -> None:
    await site.create(3)
    for number in range(7):
        await site.learn(f"b{number}", "x", "C", "1", "2")
    lines = (await site.ask("getLFStats")).json["stringList"]["values"]
    [line] = [msgspec.json.decode(line) for line in lines]
    assert line["client_request_count"] == "7"
    assert line["client_request_df_attributes_numrows_total"] == "14"
