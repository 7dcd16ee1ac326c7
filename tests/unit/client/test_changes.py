from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tally.client import (
    AsyncTally,
    ChangeStopped,
    Patience,
    Progress,
    ProjectRefused,
    UntypedColumn,
)
from tally.client.changes import Resume, letters_of
from tally.client.frames import open_frame
from tally.errors import InvalidInput
from tests.unit.client.signed_broker import CID, KEY, Asked, Says, SignedBroker, learned, project

ROWS = [{"x": number} for number in range(5)]


def cells(asked: Asked) -> list[list[object]]:
    data: list[list[object]] = msgspec.json.decode(asked.body)["data"]
    return data


async def test_rows_are_sent_in_parts_each_under_an_id_of_its_own(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.append(project())
    seen: list[Progress] = []
    told = await tally.project("p").learn(ROWS, rows_per_request=2, on_progress=seen.append)
    assert (told.rows, told.requests) == (5, 3)
    assert [cells(asked) for asked in learned(broker)] == [[[0], [1]], [[2], [3]], [[4]]]
    ids = [asked.batch_id for asked in learned(broker)]
    batch_id = ids[0].partition(":")[0]
    assert ids == [f"{batch_id}:{number}" for number in range(3)]
    assert [(each.rows, each.total) for each in seen] == [(2, 5), (4, 5), (5, 5)]


async def test_a_learn_that_broke_goes_on_where_it_stopped_under_the_same_ids(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.extend([project(), Says(), Says(400, "bad cell")])
    with pytest.raises(ChangeStopped, match=r"bad cell .*; 2 rows are counted") as caught:
        await tally.project("p").learn(ROWS, rows_per_request=2)
    broker.says.append(project())
    told = await tally.project("p").learn(ROWS, resume=caught.value.resume)
    assert (told.rows, told.requests) == (5, 3)
    sent = [(asked.batch_id.partition(":")[2], cells(asked)) for asked in learned(broker)]
    assert sent == [
        ("0", [[0], [1]]),
        ("1", [[2], [3]]),
        ("1", [[2], [3]]),
        ("2", [[4]]),
    ]
    assert len({asked.batch_id.partition(":")[0] for asked in learned(broker)}) == 1


async def test_a_part_whose_fate_is_unknown_is_sent_again_on_resuming(
    broker: SignedBroker, tally: AsyncTally
) -> None:
    broker.says.extend([project(), Says(), *[Says(0)] * 3])
    hasty = AsyncTally(CID, KEY, broker.url, patience=Patience(total_s=0))
    async with hasty:
        with pytest.raises(ChangeStopped, match="no answer") as caught:
            await hasty.project("p").learn(ROWS, rows_per_request=2)
    broker.says.clear()
    broker.says.append(project())
    await tally.project("p").learn(ROWS, resume=caught.value.resume)
    numbers = [asked.batch_id.partition(":")[2] for asked in learned(broker)]
    assert numbers == ["0", "1", "1", "2"]


async def test_a_first_part_that_is_refused_leaves_nothing_to_resume(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.extend([project(), Says(400, "bad cell")])
    with pytest.raises(ProjectRefused, match=r"^bad cell$"):
        await tally.project("p").learn(ROWS, rows_per_request=2)


async def test_the_rows_of_a_sequence_are_not_parted(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.append(project(type_="sequence"))
    rows = [{"token": "a"}] * 150_000
    told = await tally.project("p").learn(rows, "S")
    assert told.requests == 1


async def test_no_rows_are_no_request(tally: AsyncTally, broker: SignedBroker) -> None:
    broker.says.append(project())
    told = await tally.project("p").learn({"x": []})
    assert (told.rows, told.requests) == (0, 0)
    assert not learned(broker)


async def test_types_are_asked_for_once_and_known_ones_are_kept(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.append(project(["x", "town$rome"], "CB"))
    known = tally.project("p")
    await known.learn([{"x": 1, "town": "Rome"}])
    await known.learn([{"x": 0, "town": "Bonn"}])
    assert [asked.path.rpartition("/")[2] for asked in broker.asked] == ["info", "learn", "learn"]
    assert [msgspec.json.decode(a.body)["attributeTypes"] for a in learned(broker)] == [
        ["C", "T"],
        ["C", "T"],
    ]


async def test_a_new_column_of_text_needs_a_type(tally: AsyncTally, broker: SignedBroker) -> None:
    broker.says.append(project())
    with pytest.raises(UntypedColumn, match="'town' holds no numbers") as caught:
        await tally.project("p").learn([{"town": "Rome"}])
    assert caught.value.column == "town"
    assert not learned(broker)


@pytest.mark.parametrize(
    ("types", "sentence"),
    [
        ("CC", "2 types for 1 columns"),
        ({"y": "C"}, "there is no column 'y'"),
        ({"x": "Q"}, "'Q' of column 'x' is none of"),
    ],
)
def test_types_that_fit_no_column_are_refused(types: str | dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=f"^types: {sentence}"):
        letters_of(open_frame(ROWS), types, {})


@given(st.text("0123456789abcdef", min_size=1), st.integers(1, 10**9), st.integers(0, 10**9))
def test_a_place_to_resume_at_survives_being_written(batch_id: str, rows: int, done: int) -> None:
    resume = Resume(batch_id, rows, done)
    assert Resume.parse(str(resume)) == resume


@pytest.mark.parametrize("text", ["", "a", "a.1", "a.0.1", ".1.1", "a.x.1", "a.1.-1"])
def test_another_text_is_no_place_to_resume_at(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^resume: "):
        Resume.parse(text)
