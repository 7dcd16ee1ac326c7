"""Homes are killed while they build and predict: each build is one version, none goes backwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.system.cluster import Cluster
from tests.system.process import until
from tests.system.projects import Customer, start_workers

_PID, _MODEL = "line", "m"
_BUILDS = 3
_ROWS = {
    "attributeNames": ["x", "y"],
    "attributeTypes": ["C", "C"],
    "data": [[str(x), str(2 * x)] for x in range(9)],
}


async def _build(customer: Customer, number: int) -> None:
    body = {"targetAttributeNames": ["y"], "inputAttributeNames": ["x"]}
    begun = await customer.call(
        "POST", f"/{_PID}/build", query=f"modelid={_MODEL}&algo=mlr", json=body, key=f"b{number}"
    )
    assert begun.status == 202, str(begun)


async def _version(customer: Customer) -> int:
    told = await customer.call("GET", f"/{_PID}/models/{_MODEL}/versions")
    return int(told.json["values"]["modelVersions"]["current"]) if told.status == 200 else 0


async def _built(customer: Customer, number: int) -> None:
    async def served() -> bool:
        return await _version(customer) == number

    await until(served, f"version {number} is served", deadline_s=60)


async def _predict(customer: Customer, answered: list[int]) -> None:
    while True:
        rows = {"attributeNames": ["x"], "data": [["10"]]}
        told = await customer.call("POST", f"/{_PID}/predict/{_MODEL}", json=rows)
        assert told.status == 200, str(told)
        (row,) = told.json["values"]["KSVSMap"]["values"]
        assert float(row["res"]) == pytest.approx(20)
        answered.append(told.version)


@pytest.mark.timeout(180)
async def test_models_are_served_and_built_once_while_their_home_is_killed(
    tmp_path: Path,
) -> None:
    async with Cluster(tmp_path, {}) as cluster:
        cluster.broker()
        start_workers(cluster, 2)
        await cluster.ready()
        async with Customer.registered(cluster) as customer:
            await customer.create(_PID)
            learned = await customer.call("POST", f"/{_PID}/learn", json=_ROWS)
            assert learned.status == 200, str(learned)
            await _build(customer, 1)
            await _built(customer, 1)
            answered: list[int] = []
            predicting = asyncio.create_task(_predict(customer, answered))
            try:
                for number in range(2, 2 + _BUILDS):
                    await _build(customer, number)
                    home = (await customer.project(_PID)).home
                    home.kill()
                    home.start()
                    await _built(customer, number)
            finally:
                predicting.cancel()
                ended = await asyncio.gather(predicting, return_exceptions=True)
            assert isinstance(ended[0], asyncio.CancelledError), ended
            assert answered == sorted(answered)
            assert set(answered) <= set(range(1, 2 + _BUILDS))
            # Sent again, under the same keys, they are the same builds.
            for number in range(1, 2 + _BUILDS):
                await _build(customer, number)
            await _build(customer, 9)
            await _built(customer, 2 + _BUILDS)
