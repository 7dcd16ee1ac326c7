"""Projects of loans over the signed API, in few words."""

from __future__ import annotations

from typing import Any

from tests.integration.symetry.customer import Customer

ROWS = [["1200.5", "0", " North "], ["300", "1", "south"], ["", "0", "north"]]


async def loans(customer: Customer, pid: str, query: str = "", **params: str) -> None:
    told = await customer.create(pid, query, **params)
    assert told.status == 201, told.body
    told = await customer.learn(pid, "amount late region", "CBT", ROWS)
    assert told.status == 200, told.body


async def info(customer: Customer, pid: str) -> dict[str, Any]:
    told = await customer.get(f"projects/{pid}/info")
    assert told.status == 200, told.body
    return dict(told.values["smlInfo"])


async def count(customer: Customer, pid: str, attribute: str = "late") -> float:
    body = {"values": [{"inputAttributeNames": [attribute]}]}
    told = await customer.post(f"projects/{pid}/explore", body, "metric=uni")
    assert told.status == 200, told.body
    return float(told.values["KSVDMap"]["values"][0]["count"])
