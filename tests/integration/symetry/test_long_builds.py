"""Builds longer than a call may take, told of and stopped over the signed API."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from model_api.projects.metrics import PROJECT_CALLS
from tally.models import fitting
from tests.integration.symetry.conftest import customer
from tests.integration.symetry.customer import Customer, Told
from tests.system.broker.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT_S = 1.0
WIDTH = 120


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Give a service whose calls are short, with one thread that builds."""
    made = Service(tmp_path_factory.mktemp("long"))
    try:
        await made.broker()
        await made.workers(project_wait_s=WAIT_S, project_threads=1)
        yield made
    finally:
        await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(service: Service) -> Customer:
    """Return a customer with a wide project, and the classes of its rows."""
    made = await customer(service, "ann")
    numbers = np.random.default_rng(7).normal(size=(2 * WIDTH, WIDTH)).round(6)
    classes = (numbers[:, 0] > numbers[:, 1]).astype(int)
    names = " ".join(f"x{place}" for place in range(WIDTH))
    rows = [[*map(str, row), str(each)] for row, each in zip(numbers, classes, strict=True)]
    assert (await made.create("p")).status == 201
    assert (await made.learn("p", f"{names} y", "C" * WIDTH + "B", rows)).status == 200
    return made


class Watched:
    """Counts the steps of fits, and holds those up that have the parameter `hold`.

    Held fits call their checkpoint, as they would between steps.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        self.ended = 0
        self.open = threading.Event()
        fit = fitting.fit

        def watched(*args: Any, checkpoint: Any, **kwargs: Any) -> Any:
            def step() -> None:
                self.steps += 1
                checkpoint()

            try:
                while "hold" in args[3] and not self.open.wait(0.01):
                    step()
                return fit(*args, checkpoint=step, **kwargs)
            finally:
                self.ended += 1

        monkeypatch.setattr(fitting, "fit", watched)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


async def started(
    customer: Customer, verb: str, model: str, algo: str, query: str = "", **parameters: str
) -> Told:
    names = [f"x{place}" for place in range(WIDTH if algo == "covest" else 4)]
    body = {
        "targetAttributeNames": [] if algo == "covest" else ["y"],
        "inputAttributeNames": names,
        "extraParameters": parameters,
    }
    told = await customer.post(f"projects/p/{verb}", body, f"modelid={model}&algo={algo}{query}")
    assert told.status == 202, told.body
    return told


async def versions(customer: Customer, model: str) -> int:
    told = await customer.get(f"projects/p/models/{model}/versions")
    return len(told.values["modelVersions"]["values"]) if told.status == 200 else 0


def polls() -> float:
    """Return how often the home has told that work goes on."""
    return float(PROJECT_CALLS.labels("202")._value.get())


async def test_a_build_longer_than_a_call_may_take_succeeds(
    service: Service, ann: Customer, watched: Watched
) -> None:
    before = polls()
    told = await started(ann, "build", "slow", "lda", hold="yes")

    async def asked_again() -> bool:
        return polls() - before >= 4  # each was held for half of what a call may take

    await service.until(asked_again)
    watched.open.set()
    assert (await ann.job(told)).text == "Job is finished"
    assert await versions(ann, "slow") == 1
    assert watched.ended == 1


async def test_a_search_shows_how_far_it_is_and_is_stopped_from_another_broker(
    service: Service, ann: Customer, watched: Watched
) -> None:
    told = await started(ann, "reduce", "part", "lda", "&numIterations=3", hold="yes")
    path = f"jobs/{told.headers['sym-job-id']}"

    async def moved() -> bool:
        job = await ann.get(path)
        assert job.status == 202
        info = job.values["jobinfo"]
        assert info["current"] in (0, 3)
        assert info["maximum"] in (1, 3)
        return bool(info["current"] == info["maximum"] == 3)

    await service.until(moved)  # only the fit that is held is left to do
    other = Service(service.folder)
    try:
        await other.broker()
        there = await customer(other, "ann")
        await other.until(other.ready)
        assert (await there.call("DELETE", path)).status == 200
        for each in (there, ann):
            gone = await each.get(path)
            assert (gone.status, gone.text) == (400, "No such job")
    finally:
        await other.close()
    # The only thread is free though nobody lets the fit go on.
    assert (await ann.job(await started(ann, "build", "next", "lda"))).status == 200
    assert await versions(ann, "next") == 1
    assert await versions(ann, "part") == 0


async def test_a_long_descent_is_stopped_between_its_steps(
    service: Service, ann: Customer, watched: Watched
) -> None:
    grid = {"estimate_type": "graph_lasso", "tuning_type": "ebic", "tolerance": "1e-9"}
    told = await started(ann, "build", "graph", "covest", **grid)
    path = f"jobs/{told.headers['sym-job-id']}"

    async def descends() -> bool:
        return watched.steps > 100

    await service.until(descends)
    assert (await ann.call("DELETE", path)).status == 200

    async def freed() -> bool:
        return watched.ended == 1

    await service.until(freed)
    assert await versions(ann, "graph") == 0
    # What was stopped stays so, whoever sends it again.
    key = {"Idempotency-Key": "again"}
    query = "modelid=held&algo=lda"
    body = {
        "targetAttributeNames": ["y"],
        "inputAttributeNames": ["x0"],
        "extraParameters": {"hold": ""},
    }
    told = await ann.call("POST", "projects/p/build", body, query=query, headers=key)
    path = f"jobs/{told.headers['sym-job-id']}"

    async def runs() -> bool:
        return bool((await ann.get(path)).values["jobinfo"]["isStarted"])

    await service.until(runs)
    assert (await ann.call("DELETE", path)).status == 200
    told = await ann.call("POST", "projects/p/build", body, query=query, headers=key)
    assert (told.status, "was stopped" in told.text) == (422, True)
    assert await versions(ann, "held") == 0


async def test_what_is_published_is_not_stopped(
    service: Service, ann: Customer, watched: Watched
) -> None:
    told = await started(ann, "build", "kept", "lda")
    assert (await ann.job(told)).status == 200
    path = f"jobs/{told.headers['sym-job-id']}"
    assert (await ann.call("DELETE", path)).status == 200  # its answer is
    assert await versions(ann, "kept") == 1


async def test_a_build_is_begun_anew_by_the_next_home(
    service: Service, ann: Customer, watched: Watched
) -> None:
    told = await started(ann, "build", "moved", "lda", hold="yes")

    async def begun() -> bool:
        return watched.steps > 0

    await service.until(begun)
    for part in ("worker", "fit"):
        await service.stop(part)

    async def given_up() -> bool:
        return watched.ended == 1

    await service.until(given_up)  # a worker that stops ends its builds
    watched.steps = 0
    await service.workers(project_wait_s=WAIT_S, project_threads=1)
    await service.until(begun)
    watched.open.set()
    assert (await ann.job(told)).text == "Job is finished"
    assert await versions(ann, "moved") == 1
    assert watched.ended == 2


async def test_a_selection_shows_how_far_it_is_and_is_stopped_between_its_fits(
    service: Service, ann: Customer
) -> None:
    most = 1_000_000
    rows = [[str(k), str(k * k % 7), str(k % 2)] for k in range(20)]
    body = {
        "mlcontext": {
            "targetAttributeNames": ["y"],
            "inputAttributeNames": ["x0", "x1"],
            "extraParameters": {
                "selector_type": "selector_type_iteration",
                "selector_max_iterations": most,
            },
        },
        "dataframe": {"attributeNames": ["x0", "x1", "y"], "data": rows},
    }
    told = await ann.post("projects/p/autoSelect", body, "modelid=endless")
    assert told.status == 202, told.body
    path = f"jobs/{told.headers['sym-job-id']}"

    async def moved() -> bool:
        info = (await ann.get(path)).values["jobinfo"]
        return bool(info["maximum"] == most and 0 < info["current"] < most)

    await service.until(moved)
    assert (await ann.call("DELETE", path)).status == 200
    # The only thread is free again.
    assert (await ann.job(await started(ann, "build", "after", "lda"))).status == 200
    assert await versions(ann, "endless") == 0
