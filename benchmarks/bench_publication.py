"""From a fit that is stored to all of eight workers serving it."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Mapping
from datetime import datetime

import msgspec

from benchmarks.machine import ROOT
from benchmarks.rows import Row, Spread
from benchmarks.service import Service, etcd, running
from tally import backends
from tally.coordination.base import Coordinator, Put
from tally.wire.messages import DEFAULT_VERSION, NODES, Announcement, Node

_WORKERS = 8
_AIM_MS = 50.0
_POLL_S = 1.0  # as in the original
_PAUSE_S = (1.1, 2.1)  # all pollers look between two fits, and fits meet them at any phase


async def measure(*, quick: bool) -> list[Row]:
    """Return a row for the embedded backends, and one for etcd."""
    repeats = 5 if quick else 20
    rows = [await _row("embedded", {}, repeats)]
    with etcd() as url:
        if url is None:
            name = "fit stored to served by all of 8, etcd"
            rows.append(Row(name=name, unit="ms", against="", note="no etcd to be had here"))
        else:
            rows.append(await _row("etcd", {"TALLY_COORDINATION_URL": url}, repeats))
    return rows


async def _row(backend: str, settings: Mapping[str, str], repeats: int) -> Row:
    async with running(_WORKERS, settings) as service:
        # The workers' watches and ours, from processes of their own.
        coordinator = backends.coordinator(service.settings)
        try:
            ours, published, theirs = await _times(service, coordinator, repeats)
        finally:
            await coordinator.close()
    mine, other = Spread.of(ours), Spread.of(theirs)
    return Row(
        name=f"fit stored to served by all of {_WORKERS}, {backend}",
        unit="ms",
        against=f"{_WORKERS} pollers of the version, one look a second",
        ours=mine,
        theirs=other,
        value=mine.median,
        value_unit="ms",
        aim=f"under {_AIM_MS:g} ms at the median",
        met=mine.median < _AIM_MS,
        note=f"From the moment of publishing alone: {Spread.of(published)} ms. The pollers only "
        "look; they load nothing.",
    )


async def _times(
    service: Service, coordinator: Coordinator, repeats: int
) -> tuple[list[float], list[float], list[float]]:
    """Return the milliseconds from stored and from published to served, and to all pollers."""
    series = (ROOT / "dataset_simple").read_bytes()
    await service.fit(series)
    served: dict[int, list[float]] = {}
    polled: dict[int, list[float]] = {}
    tasks = [asyncio.create_task(_watch(coordinator, served))]
    tasks += [asyncio.create_task(_poll(coordinator, polled)) for _ in range(_WORKERS)]
    versions = []
    try:
        for _ in range(repeats):
            await asyncio.sleep(random.uniform(*_PAUSE_S))
            versions.append(int((await service.fit(series))["version"]))
        await asyncio.sleep(2 * _POLL_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    ours, published, theirs = [], [], []
    for version in versions:
        told = await asyncio.to_thread(service.get, f"/api/models/default/versions/{version}")
        stored = datetime.fromisoformat(told["stored_at"]).timestamp()
        moved = datetime.fromisoformat(told["published_at"]).timestamp()
        seen = _last(served, version)
        ours.append(1000 * (seen - stored))
        published.append(1000 * (seen - moved))
        theirs.append(1000 * (_last(polled, version) - stored))
    return ours, published, theirs


async def _watch(coordinator: Coordinator, served: dict[int, list[float]]) -> None:
    """Note when each node's key tells that it serves a version."""
    async for event in coordinator.watch(NODES):
        if isinstance(event, Put):
            now = time.time()
            node = msgspec.json.decode(event.item.value, type=Node)
            served.setdefault(node.model, []).append(now)


async def _poll(coordinator: Coordinator, polled: dict[int, list[float]]) -> None:
    """Do as the original's workers did: look at the version once a second."""
    await asyncio.sleep(random.uniform(0, _POLL_S))
    last = 0
    while True:
        item = await coordinator.get(DEFAULT_VERSION)
        if item is not None:
            version = msgspec.json.decode(item.value, type=Announcement).version
            if version != last:
                polled.setdefault(version, []).append(time.time())
                last = version
        await asyncio.sleep(_POLL_S)


def _last(seen: Mapping[int, list[float]], version: int) -> float:
    times = seen.get(version, [])
    # A node may put its key twice; the first put of each of them counts, and all are needed.
    return times[_WORKERS - 1] if len(times) >= _WORKERS else math.nan
