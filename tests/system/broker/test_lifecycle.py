"""What the broker does while parts are missing, and when it starts and stops."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import ConfigurationError
from tally.wire.messages import FITTERS, Fitter
from tests.system.broker.service import Service

SERIES = {"data": [float(i % 5) for i in range(50)]}


async def test_a_port_that_is_taken_is_a_clear_error(service: Service) -> None:
    taken = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}.*in use"):
            await service.broker(port=port)


async def test_without_workers_fits_are_accepted_and_ready_names_what_is_missing(
    service: Service,
) -> None:
    await service.broker(fit_wait_s=0.1, forecast_wait_s=0.1)
    async with service.client.post(f"{service.url}/api/fit_model", json=SERIES) as response:
        assert response.status == 202
        told = await response.json()
        assert response.headers["Location"] == told["url"]
    async with service.client.get(service.url + told["url"]) as response:
        assert (await response.json())["state"] == "QUEUED"
    async with service.client.get(f"{service.url}/api/forecast/3") as response:
        assert response.status == 404
        assert "has not ended" in (await response.json())["detail"]
    async with service.client.get(f"{service.url}/ready") as response:
        assert response.status == 200
        assert (await response.json())["degraded"] == ["workers", "fit_workers"]


async def test_a_broker_that_stops_answers_whoever_waits_and_the_fit_goes_on(
    service: Service,
) -> None:
    await service.broker(fit_wait_s=60, forecast_wait_s=60)
    url = f"{service.url}/api/fit_model"
    waiting = asyncio.create_task(service.client.post(url, json=SERIES))

    async def accepted() -> bool:
        async with service.client.get(f"{service.url}/api/fits") as response:
            return bool((await response.json())["fits"])

    await service.until(accepted)
    async with asyncio.timeout(4):
        await service.stop("broker")
        response = await waiting
    assert response.status == 202
    fit = (await response.json())["url"]

    await service.broker()
    await service.workers()

    async def served() -> bool:
        async with service.client.get(service.url + fit) as response:
            return bool((await response.json())["state"] == "SERVED")

    await service.until(served)


async def test_a_rollback_answers_once_it_is_served_or_says_that_it_is_not_yet(
    service: Service,
) -> None:
    await service.broker(forecast_wait_s=0.5)
    await service.workers()
    for _ in range(2):
        async with service.client.post(f"{service.url}/api/fit_model", json=SERIES) as response:
            assert response.status == 201, await response.text()
    url = f"{service.url}/api/models/default/rollback"
    async with service.client.post(url, params={"to": "1"}) as response:
        assert response.status == 200
    async with service.client.get(f"{service.url}/api/forecast/3") as response:
        assert response.headers["X-Model-Version"] == "1"
    await service.stop("worker")
    async with service.client.post(url, params={"to": "2"}) as response:
        assert response.status == 202
        assert (await response.json())["version"] == 2


async def test_a_deleted_model_is_gone_at_once_and_its_name_is_free(service: Service) -> None:
    await service.broker(forecast_wait_s=2)
    await service.workers()
    model = f"{service.url}/api/models/short"
    for _ in range(2):
        async with service.client.post(f"{model}/fit", json=SERIES) as response:
            assert response.status == 201, await response.text()
            assert (await response.json())["version"] == 1
        async with service.client.delete(model) as response:
            assert response.status == 204
        for path in ("", "/versions"):
            async with service.client.get(model + path) as response:
                assert response.status == 404

        async def unknown() -> bool:
            async with service.client.get(f"{model}/forecast/3") as response:
                return response.status == 404

        await service.until(unknown)


async def test_an_algorithm_that_no_fit_worker_has_is_refused_with_how_to_install_it(
    service: Service,
) -> None:
    await service.broker(fit_wait_s=0.1)
    coordinator = EmbeddedCoordinator(service.folder / "coordination.db")
    await coordinator.put(f"{FITTERS}plain", msgspec.json.encode(Fitter("h", 1, ("harmonic_ar",))))

    async def known() -> bool:
        async with service.client.get(f"{service.url}/ready") as response:
            return "fit_workers" not in (await response.json())["degraded"]

    await service.until(known)
    await coordinator.close()
    url = f"{service.url}/api/fit_model"
    async with service.client.post(url, json={**SERIES, "algorithm": "prophet"}) as response:
        assert response.status == 400
        told = await response.json()
    assert told["code"] == "algorithm_unavailable"
    assert "'prophet'" in told["detail"]
    assert "pip install 'tally[prophet]'" in told["detail"]
    # `auto` takes what is there.
    for algorithm in ("harmonic_ar", "auto"):
        async with service.client.post(url, json={**SERIES, "algorithm": algorithm}) as response:
            assert response.status == 202


async def test_models_are_listed_a_page_at_a_time(service: Service) -> None:
    await service.broker()
    for name in "abc":
        url = f"{service.url}/api/models/{name}/fit?async=true"
        async with service.client.post(url, json=SERIES) as response:
            assert response.status == 202
    seen: list[str] = []
    params = {"limit": "2"}
    while True:
        async with service.client.get(f"{service.url}/api/models", params=params) as response:
            told = await response.json()
        seen += [model["name"] for model in told["models"]]
        if "next" not in told:
            break
        params["after"] = told["next"]
    assert seen == ["a", "b", "c"]
    async with service.client.get(f"{service.url}/api/fits?limit=2") as response:
        fits = (await response.json())["fits"]
    assert [fit["model"] for fit in fits] == ["c", "b"]
    async with service.client.get(f"{service.url}/api/fits?model=a") as response:
        assert [fit["model"] for fit in (await response.json())["fits"]] == ["a"]
