"""Federated projects of several servers in this process, as their users reach them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from model_api.federation.wiring import IN_PROCESS
from tally.federation.keys import federation_id
from tally.wire.bodycrypt import decrypt, decrypt_with_password
from tally.wire.federation import seal_map
from tests.integration.fusion.servers import customer as customer
from tests.integration.fusion.servers import server
from tests.integration.symetry.customer import Customer, Told
from tests.system.broker.service import Service

PASSWORD = "passwd"
OPTIONS = {"sml.fed.allow.second.schedule": "1", "sml.fed.allow.memory.transport": "1"}
TERMS = {
    "fed_name": "hospitals",
    "sync_sched": "s1",
    "nats_hosts": "memory:",
    "fed_enforce_hipaa_compliance": "false",
}


@asynccontextmanager
async def servers(
    folder: Path, count: int, options: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[list[Customer]]:
    """Run servers, each with a customer of its own; options besides those of all tests."""
    async with AsyncExitStack() as opened:
        made = []
        for number in range(count):
            one = await opened.enter_async_context(
                server(folder / f"server{number}", {**OPTIONS, **options})
            )
            made.append(await customer(one, f"customer{number}"))
        yield made


@asynccontextmanager
async def restartable(folder: Path) -> AsyncIterator[tuple[Service, Customer]]:
    """Run a server whose parts a test may stop, with a customer."""
    async with server(folder, OPTIONS) as one:
        yield one, await customer(one, "restarted")


async def create(owner: Customer, pid: str, query: str = "", **more: str) -> Told:
    body = seal_map(owner.key, {**TERMS, **more}).encode()
    return await owner.post("fedml/create", body, f"pid={pid}{query}")


async def invited(
    admin: Customer, pid: str, password: str = PASSWORD, **more: str
) -> dict[str, str]:
    """Return what an invitation says, as a joiner decrypts it."""
    body = seal_map(admin.key, {"passwd": password, **more}).encode()
    told = await admin.post(f"fedml/{pid}/getEncrypted", body)
    assert told.status == 200, told.body
    assert told.values["encryptedGroupInfo"] == told.values["fedInfoEncrypted"]
    text = str(told.values["encryptedGroupInfo"])
    return dict(json.loads(decrypt_with_password(password, text.encode())))


async def join(owner: Customer, pid: str, invitation: Mapping[str, str], **more: str) -> Told:
    body = seal_map(owner.key, {**invitation, **more}).encode()
    return await owner.post("fedml/createJoin", body, f"pid={pid}" if pid else "")


async def federate(owners: list[Customer], pid: str, **more: str) -> None:
    """Have all of them in one federation, that of the first."""
    told = await create(owners[0], pid, **more)
    assert (told.status, told.text) == (201, f"Project Created with id:{pid}")
    for owner in owners[1:]:
        told = await join(owner, pid, await invited(owners[0], pid))
        assert (told.status, told.text) == (201, "Fed Project created with join")


async def learned(owner: Customer, pid: str, rows: object) -> None:
    told = await owner.post(f"projects/{pid}/learn", rows)
    assert told.status == 200, told.body


async def ordered(owner: Customer, pid: str, path: str, query: str = "") -> None:
    """Ask for something that has no answer but OK."""
    told = await owner.get(f"fedml/{pid}/{path}", query)
    assert told.status == 200, told.body


async def log(owner: Customer, pid: str, which: str) -> list[str]:
    told = await owner.get(f"fedml/{pid}/{which}")
    assert told.status == 200, told.body
    return list(told.values["stringList"]["values"])


async def federation_info(owner: Customer, pid: str) -> dict[str, Any]:
    told = await owner.get(f"fedml/{pid}/info")
    assert told.status == 200, told.body
    return dict(json.loads(decrypt(owner.key, str(told.values["fedInfoEncrypted"]).encode())))


async def until(condition: Callable[[], Awaitable[bool]], wait_s: float = 20.0) -> None:
    """Return once something holds."""
    async with asyncio.timeout(wait_s):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def cut_off(owner: Customer, pid: str) -> AsyncIterator[None]:
    """Have one peer of a federation not reach the broker for a while."""
    told = await federation_info(owner, pid)
    fid = federation_id(told["fed_name"], base64.b64decode(told["fed_secret_key"]))
    faults = IN_PROCESS.brokers[fid].faults
    faults.cut_off = {told["local_uuid"]}
    try:
        yield
    finally:
        faults.cut_off = set()
