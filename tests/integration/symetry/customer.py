"""A customer of the signed API, with the habits of one of the clients that exist."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from tally.wire.secret_key import SecretKey
from tally.wire.signing import format_date, sign

ROOT = "/symetry/rest"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body, type=dict[str, Any])

    @property
    def text(self) -> str:
        return str(self.json["statusString"])

    @property
    def values(self) -> dict[str, Any]:
        return dict(self.json["values"])


class Customer:
    """Signs and sends.

    Args:
        session: HTTP client.
        url: of the broker.
        cid, key: the customer's.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, cid: str, key: SecretKey) -> None:
        self.session = session
        self.url = url
        self.cid = cid
        self.key = key

    async def call(
        self,
        method: str,
        path: str,
        body: object = b"",
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        signed_path: str | None = None,
        signed_query: str | None = None,
        date: str | None = None,
        cid: str | None = None,
    ) -> Told:
        """Return the answer to a request; what is signed may be another form of what is sent.

        Args:
            method, path, query: `path` is below the customer, and sent as it is.
            body: bytes, or what is sent as JSON.
            headers: further ones; a None takes one of ours away.
            signed_path, signed_query, date: instead of those sent.
            cid: in the path, instead of our own.
        """
        whole = f"{ROOT}/{self.cid if cid is None else cid}/{path}"
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        moment = format_date(datetime.now(UTC)) if date is None else date
        signature = sign(
            self.key,
            self.cid,
            method,
            whole if signed_path is None else signed_path,
            moment,
            query=query if signed_query is None else signed_query,
            body=data,
        )
        given = {"Authorization": signature, "sym-date": moment, **(headers or {})}
        target = f"{self.url}{whole}?{query}" if query else f"{self.url}{whole}"
        async with self.session.request(
            method,
            URL(target, encoded=True),
            data=io.BytesIO(data) if data else None,
            headers=given,
            allow_redirects=False,
        ) as response:
            return Told(response.status, response.headers, await response.read())

    async def get(self, path: str, query: str = "") -> Told:
        return await self.call("GET", path, query=query)

    async def post(self, path: str, body: object = b"", query: str = "") -> Told:
        return await self.call("POST", path, body, query=query)

    async def create(self, pid: str, query: str = "", **params: str) -> Told:
        more = f"&{query}" if query else ""
        return await self.post("projects", params, f"pid={pid}{more}")

    async def learn(self, pid: str, names: str, types: str, rows: list[list[Any]]) -> Told:
        """Learn rows; names are separated by spaces."""
        body = {"attributeNames": names.split(), "attributeTypes": list(types), "data": rows}
        return await self.post(f"projects/{pid}/learn", body)

    async def job(self, started: Told) -> Told:
        """Return what a job came to."""
        assert started.status == 202, started.body
        async with asyncio.timeout(30):
            while True:
                told = await self.get(f"jobs/{started.headers['sym-job-id']}")
                if told.status != 202:
                    return told
                await asyncio.sleep(0.01)
