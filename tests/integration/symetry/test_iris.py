from __future__ import annotations

import pytest
import pytest_asyncio

from tests.integration.symetry import iris
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def learned(ann: Customer) -> Customer:
    """Give a customer who has learned the rows."""
    await iris.learn(ann)
    return ann


@pytest.mark.parametrize(
    "question", iris.QUESTIONS, ids=[f"{n}-{one['path']}" for n, one in enumerate(iris.QUESTIONS)]
)
async def test_an_answer_is_that_of_the_reference(
    learned: Customer, question: iris.Question
) -> None:
    await iris.check(learned, question)


async def test_the_sum_of_parts_answers_like_the_whole(learned: Customer) -> None:
    rows = iris.frame()
    for pid, part in (("first", slice(0, 70)), ("second", slice(70, None))):
        assert (await learned.create(pid, "enableHistogram=true")).status == 201
        told = await learned.post(f"projects/{pid}/learn", {**rows, "data": rows["data"][part]})
        assert told.status == 200, told.body
    assert (await learned.get("projects/first/merge", "otherProjectName=second")).status == 200
    exported = await learned.get("projects/first/export")
    assert (await learned.post("projects/copy/import", exported.body)).status == 200
    for question in iris.QUESTIONS[::3]:
        await iris.check(learned, question, "copy")


async def test_what_was_learned_twice_and_forgotten_once_was_learned_once(
    learned: Customer,
) -> None:
    assert (await learned.create("twice", "enableHistogram=true")).status == 201
    for verb in ("learn", "learn", "forget"):
        assert (await learned.post(f"projects/twice/{verb}", iris.frame())).status == 200
    for question in iris.QUESTIONS[1::3]:
        await iris.check(learned, question, "twice")
