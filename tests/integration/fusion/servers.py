"""Whole servers in this process, each with a folder, customers and projects of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tally.wire.bodycrypt import encrypt
from tally.wire.fusion import FusionCellStatus, read_statuses
from tally.wire.secret_key import SecretKey
from tests.integration.symetry import iris
from tests.integration.symetry.conftest import customer as customer
from tests.integration.symetry.customer import Customer, Told
from tests.system.broker.service import Service

NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
ANYWHERE = "0.0.0.0/0,::/0"  # loopback, too
ALWAYS = {"sml.fusion.prefetch.min.time.ms": "0"}


@asynccontextmanager
async def server(
    folder: Path, options: Mapping[str, str] = ALWAYS, **settings: object
) -> AsyncIterator[Service]:
    """Run a server; by default its fusion projects fetch their cells for every question."""
    file = _written(folder, options)
    made = Service(folder)
    try:
        await made.broker()
        await made.workers(**{"options_file": file, "outbound_networks": ANYWHERE, **settings})
        yield made
    finally:
        await made.close()


def _written(folder: Path, options: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "options.properties"
    file.write_text("".join(f"rtlm.option.{key}={value}\n" for key, value in options.items()))
    return file


def cell(
    owner: Customer, pid: str, *, host: str = "", key: SecretKey | None = None
) -> dict[str, str]:
    """Return a cell as clients write it; without a host it is of the server that is asked."""
    return {"host": host, "cid": owner.cid, "sk": (key or owner.key).text, "pid": pid}


def sealed(owner: Customer, cells: Sequence[Mapping[str, str]]) -> bytes:
    return encrypt(owner.key, json.dumps({"values": list(cells)}).encode()).encode()


async def fuse(owner: Customer, pid: str, *cells: Mapping[str, str], query: str = "") -> Told:
    """Ask for a fusion project."""
    more = f"&{query}" if query else ""
    return await owner.post("projects/fusion/create", sealed(owner, cells), f"pid={pid}{more}")


async def statuses(
    owner: Customer, pid: str = "", *cells: Mapping[str, str]
) -> list[FusionCellStatus]:
    """Return how cells are: those of a project unless some are given."""
    path = f"projects/fusion/{pid}/cellsStatus" if pid else "projects/fusion/cellsStatus"
    told = await owner.post(path, sealed(owner, cells) if cells else b"")
    assert told.status == 200, told.body
    assert told.values["cellsStatus"] == told.values["cellsStatusEncrypted"]
    return list(read_statuses(owner.key, told.values["cellsStatus"]))


def third(number: int) -> dict[str, Any]:
    """Return the rows of Iris whose index leaves that rest, four continuous columns of them."""
    whole = iris.frame()
    rows = [row[:4] for row in whole["data"][number::3]]
    return {"attributeNames": list(NAMES), "attributeTypes": ["C"] * 4, "data": rows}


async def learn(owner: Customer, pid: str, rows: object, query: str = "") -> None:
    """Make a project that has learned some rows."""
    told = await owner.create(pid, query)
    assert told.status == 201, told.body
    told = await owner.post(f"projects/{pid}/learn", rows)
    assert told.status == 200, told.body


async def explored(owner: Customer, pid: str, name: str = "sepal_length") -> dict[str, float]:
    """Return what a univariate exploration tells of an attribute."""
    told = await asked(owner, pid, name)
    assert told.status == 200, told.body
    return dict(told.values["KSVDMap"]["values"][0])


async def asked(owner: Customer, pid: str, name: str = "sepal_length") -> Told:
    body = {"values": [{"targetAttributeNames": [name], "inputAttributeNames": [name]}]}
    return await owner.post(f"projects/{pid}/explore", body, "metric=uni")


async def info(owner: Customer, pid: str) -> dict[str, Any]:
    told = await owner.get(f"projects/{pid}/info")
    assert told.status == 200, told.body
    return dict(told.values["smlInfo"])


async def fetch_error(owner: Customer, pid: str) -> str:
    return str((await info(owner, pid))["params"]["fusion_fetch_error"])


async def built(owner: Customer, pid: str, model: str, algo: str, target: str, *inputs: str) -> Any:
    """Return what is told of a model that was built just now."""
    body = {"targetAttributeNames": [target], "inputAttributeNames": list(inputs)}
    started = await owner.post(f"projects/{pid}/build", body, f"modelid={model}&algo={algo}")
    told = await owner.job(started)
    assert told.status == 200, told.body
    told = await owner.get(f"projects/{pid}/models/{model}")
    assert told.status == 200, told.body
    return told.values["modelInfo"]


def coefficients(model: Any) -> list[float]:
    """Return those of a regression, the intercept at the end."""
    return [float(row[0]) for row in model["extra"]["coefficient"]["data"]]
