"""The forecast API from Python."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote

import aiohttp

from tally.client.errors import ServerAway, ServerRefused

Reply = dict[str, Any]


class ForecastClient:
    """Asks one broker. Use it with `async with`.

    Args:
        url: of the broker, like `http://127.0.0.1:5000`.
        token: for `Authorization: Bearer`, where the broker wants one.
        timeout_s: of each call; a fit that takes longer is followed by asking again.
    """

    def __init__(self, url: str, token: str = "", timeout_s: float = 90.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        self._session = aiohttp.ClientSession(
            headers=headers, timeout=aiohttp.ClientTimeout(total=timeout_s)
        )

    async def __aenter__(self) -> ForecastClient:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._session.close()

    async def fit(self, model: str, body: Mapping[str, object]) -> Reply:
        """Send a series to be fitted, and return the accepted fit at once."""
        path = f"/api/models/{quote(model, safe='')}/fit?async=true"
        return await self._call("POST", path, body)

    async def wait(self, fit: str, every_s: float = 0.1) -> Reply:
        """Return a fit once it has ended; cancel the call to stop waiting."""
        while True:
            told = await self.get_fit(fit)
            if ended(told):
                return told
            await asyncio.sleep(every_s)

    async def forecast(
        self,
        model: str,
        steps: int,
        *,
        levels: Sequence[float] = (),
        timestamps: bool = False,
        version: int | None = None,
    ) -> Reply:
        """Return `data`, and `lower`, `upper`, `timestamps` where they were asked for."""
        query = {"include": "version"}
        if levels:
            query["level"] = ",".join(f"{level:g}" for level in levels)
        if timestamps:
            query["timestamps"] = "true"
        if version is not None:
            query["version"] = str(version)
        path = f"/api/models/{quote(model, safe='')}/forecast/{steps}"
        return await self._call("GET", path, query=query)

    async def models(self) -> list[Reply]:
        """Return the models."""
        return list((await self._call("GET", "/api/models"))["models"])

    async def model(self, name: str) -> Reply:
        """Return one model."""
        return await self._call("GET", f"/api/models/{quote(name, safe='')}")

    async def versions(self, model: str) -> list[Reply]:
        """Return the versions of a model, newest first."""
        path = f"/api/models/{quote(model, safe='')}/versions"
        return list((await self._call("GET", path))["versions"])

    async def rollback(self, model: str, to: int) -> Reply:
        """Serve an earlier version again."""
        return await self._call("POST", f"/api/models/{quote(model, safe='')}/rollback?to={to}")

    async def fits(self, *, state: str = "", model: str = "") -> list[Reply]:
        """Return fits, newest first."""
        query = {key: value for key, value in (("state", state), ("model", model)) if value}
        return list((await self._call("GET", "/api/fits", query=query))["fits"])

    async def get_fit(self, fit: str) -> Reply:
        """Return one fit."""
        return await self._call("GET", f"/api/fits/{quote(fit, safe='')}")

    async def retry(self, fit: str) -> Reply:
        """Queue a failed fit again."""
        return await self._call("POST", f"/api/fits/{quote(fit, safe='')}/retry")

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Reply:
        try:
            async with self._session.request(
                method, self._url + path, json=body, params=query
            ) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServerAway(
                f"no answer from {self._url} ({type(error).__name__}); is `tally up` running?"
            ) from error
        try:
            told = json.loads(text or "{}")
        except ValueError:
            told = {"detail": f"{self._url} answered {response.status}, not JSON"}
        if response.status >= 400:
            raise ServerRefused(response.status, told)
        return dict(told)


def ended(told: Reply) -> bool:
    """Tell whether a fit will change no more by itself."""
    return told["state"] not in ("QUEUED", "RUNNING", "STORED", "PUBLISHED")
