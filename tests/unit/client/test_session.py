from __future__ import annotations

import pytest

from tally.client import (
    AsyncTally,
    NameTaken,
    NotAuthorized,
    Patience,
    ProjectRefused,
    ServerAway,
    UnknownProject,
)
from tests.unit.client.signed_broker import CID, KEY, Says, SignedBroker

BREAKS = Says(status=0)
BUSY = Says(503, "later")


async def test_a_change_that_gets_no_answer_is_sent_again_under_the_same_id(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.extend([BREAKS, BUSY, Says(429, "full"), Says(502, bare=b"<html>")])
    await tally.project("p").merge("q")
    assert [asked.path for asked in broker.asked] == [f"/symetry/rest/{CID}/projects/p/merge"] * 5
    assert len({asked.batch_id for asked in broker.asked}) == 1
    assert broker.asked[0].batch_id
    # Signed anew each time: the server takes none that is old.
    assert len({asked.headers["sym-date"] for asked in broker.asked[1:]}) == 4


async def test_two_changes_have_two_ids(tally: AsyncTally, broker: SignedBroker) -> None:
    await tally.project("p").merge("q")
    await tally.project("p").merge("q")
    first, second = (asked.batch_id for asked in broker.asked)
    assert first != second


async def test_questions_have_no_id_and_are_repeated_too(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    broker.says.extend([BREAKS, Says(values={"stringList": {"values": ["p"]}})])
    assert await tally.projects() == ["p"]
    assert [asked.batch_id for asked in broker.asked] == ["", ""]


async def test_a_refusal_is_not_repeated(tally: AsyncTally, broker: SignedBroker) -> None:
    broker.says.append(Says(400, "Unknown metric [x]", {"a": "b"}))
    with pytest.raises(ProjectRefused, match=r"^Unknown metric \[x\]$") as caught:
        await tally.project("p").explore("x", [{}])
    assert len(broker.asked) == 1
    assert (caught.value.status, caught.value.text) == (400, "Unknown metric [x]")
    assert caught.value.values == {"a": "b"}


async def test_the_server_says_how_long_to_wait(broker: SignedBroker) -> None:
    broker.says.append(Says(503, "later", headers={"Retry-After": "30"}))
    # More than our patience: asked once, and nobody waits for nothing.
    async with AsyncTally(CID, KEY, broker.url, patience=Patience(total_s=5)) as tally:
        with pytest.raises(ProjectRefused, match=r"^later$"):
            await tally.project("p").save()
    assert len(broker.asked) == 1


async def test_patience_comes_to_an_end(broker: SignedBroker) -> None:
    broker.says.extend([BUSY] * 1000)
    patience = Patience(total_s=0.02, first_s=0.005, most_s=0.005)
    async with AsyncTally(CID, KEY, broker.url, patience=patience) as tally:
        with pytest.raises(ProjectRefused, match=r"^later$"):
            await tally.project("p").save()
    assert 1 <= len(broker.asked) < 1000


async def test_nobody_at_the_address_is_told_as_that() -> None:
    async with AsyncTally(CID, KEY, "http://127.0.0.1:9", patience=Patience(total_s=0)) as tally:
        with pytest.raises(ServerAway, match=r"no answer from http://127\.0\.0\.1:9"):
            await tally.projects()


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (Says(400, "Cannot Find SYMETRYML id[p] for Customer id [ann]"), UnknownProject),
        (Says(400, "Customer[ann] does not have Project with id[p], "), UnknownProject),
        (Says(409, "Customer [ann] already have SYMETRYML with id[p], "), NameTaken),
        (Says(401, "Invalid Signature"), NotAuthorized),
        (Says(400, "Please update your server time, it is likely out"), NotAuthorized),
        (Says(422, "another change"), ProjectRefused),
        (Says(302, bare=b""), ProjectRefused),
    ],
)
async def test_what_is_refused_can_be_told_apart(
    tally: AsyncTally, broker: SignedBroker, says: Says, kind: type[ProjectRefused]
) -> None:
    broker.says.append(says)
    with pytest.raises(ProjectRefused) as caught:
        await tally.project("p").freeze()
    assert type(caught.value) is kind
    assert caught.value.status == says.status


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[]", b'{"values":{"stringList":3}}'])
async def test_an_answer_of_something_else_is_a_refusal_and_no_crash(
    tally: AsyncTally, broker: SignedBroker, body: bytes
) -> None:
    broker.says.append(Says(bare=body))
    with pytest.raises(ProjectRefused, match="the answer has no stringList"):
        await tally.projects()


async def test_names_are_one_segment_of_the_path(tally: AsyncTally, broker: SignedBroker) -> None:
    await tally.project("../my proj").freeze()
    assert broker.asked[0].path == f"/symetry/rest/{CID}/projects/..%2Fmy%20proj/freeze"


async def test_a_project_is_made_with_what_was_asked_for(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    params = {"sml_project_autosave": False, "sml_project_order": 2}
    project = await tally.create("p", "sequence", histogram=False, params=params)
    (asked,) = broker.asked
    assert asked.query == "pid=p&type=sequence&persist=true&enableHistogram=false"
    assert asked.body == b'{"sml_project_autosave":"false","sml_project_order":"2"}'
    assert project.pid == "p"


async def test_a_project_is_made_with_cells(tally: AsyncTally, broker: SignedBroker) -> None:
    await tally.create("p", cells=4)
    assert broker.asked[-1].query.endswith("&cells=4")


async def test_a_project_that_is_there_may_be_taken(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    taken = Says(409, "already")
    broker.says.extend([taken, taken])
    assert (await tally.create("p", exist_ok=True)).pid == "p"
    with pytest.raises(NameTaken):
        await tally.create("p")


async def test_a_project_whose_deletion_got_no_answer_is_deleted(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    gone = Says(400, "Customer[ann] does not have Project with id[p], ")
    broker.says.extend([BUSY, gone, gone])
    await tally.project("p").delete()
    with pytest.raises(UnknownProject):
        await tally.project("p").delete()


async def test_a_project_is_deleted_whose_deletion_broke_a_connection_that_was_kept(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    gone = Says(400, "Customer[ann] does not have Project with id[p], ")
    broker.says.extend([Says(), BREAKS, gone])
    await tally.project("p").freeze()
    await tally.project("p").delete()
    # The HTTP client has sent it again by itself, and told nobody.
    assert [asked.method for asked in broker.asked] == ["GET", "DELETE", "DELETE"]
    first, second = broker.asked[1:]
    assert first.headers["sym-date"] == second.headers["sym-date"]


async def test_a_federation_is_left_whose_leaving_got_no_answer(
    tally: AsyncTally, broker: SignedBroker
) -> None:
    gone = Says(400, "Customer[ann] does not have Project with id[p], ")
    broker.says.extend([Says(503, "away"), gone, gone])
    await tally.project("p").leave(withdraw=False)
    assert broker.asked[1].query == "withdraw=false"
    with pytest.raises(UnknownProject):
        await tally.project("p").leave()
