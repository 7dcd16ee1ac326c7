from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_rows_are_learned_and_told(ann: Customer) -> None:
    told = await ann.create("loans24", "type=cpu&persist=true&enableHistogram=true")
    assert (told.status, told.text) == (201, "Project Created with id:loans24"), told.body
    rows = [["1200.5", "0", " North "], ["300", "1", "south"], ["", "0", "north"]]
    told = await ann.learn("loans24", "amount late region", "CBT", rows)
    assert (told.status, told.values) == (200, {}), told.body
    told = await ann.get("projects/loans24/info")
    print(told.body)
    assert told.values["smlInfo"]["attributeNames"] == [
        "amount",
        "late",
        "region$north",
        "region$south",
    ]
