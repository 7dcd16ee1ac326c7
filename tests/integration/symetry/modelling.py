"""Models over the signed API, in few words."""

from __future__ import annotations

from typing import Any

from tests.integration.symetry import iris
from tests.integration.symetry.customer import Customer, Told

SL, SW, PL, PW = "sepal_length", "sepal_width", "petal_length", "petal_width"
X4 = [SL, SW, PL, PW]


async def build(
    customer: Customer, model: str, algo: str, body: object, query: str = "", pid: str = "m"
) -> Told:
    query = f"modelid={model}&algo={algo}{query}"
    return await customer.job(await customer.post(f"projects/{pid}/build", body, query))


async def built(
    customer: Customer, model: str, algo: str, target: str, inputs: list[str], **parameters: str
) -> None:
    body = {
        "targetAttributeNames": [target],
        "inputAttributeNames": inputs,
        "extraParameters": parameters,
    }
    told = await build(customer, model, algo, body)
    assert (told.status, told.text, told.values) == (200, "Job is finished", {}), told.body


async def info(customer: Customer, model: str) -> dict[str, Any]:
    told = await customer.get(f"projects/m/models/{model}")
    assert told.status == 200, told.body
    return dict(told.values["modelInfo"])


async def predict(
    customer: Customer, model: str, body: object, query: str = ""
) -> list[dict[str, str]]:
    told = await customer.post(f"projects/m/predict/{model}", body, query)
    assert told.status == 200, told.body
    return list(told.values["KSVSMap"]["values"])


def rows(*places: int) -> dict[str, Any]:
    """Return rows of the file, all columns as a client that knows no types sends them."""
    frame = iris.frame()
    types = ["C"] * len(frame["attributeNames"])
    return {**frame, "attributeTypes": types, "data": [frame["data"][place] for place in places]}
