"""A question to a fusion project whose cells stand on another server, and what its time goes into.

Two whole services on loopback: one has the cells, the other asks for them. Every question fetches
all cells, since the least time between two fetches is set to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.customer import Customer, new_master_key
from benchmarks.rows import Row, Spread
from benchmarks.service import Service, running
from model_api.fusion.state import Fused, Snapshot
from tally.client import AsyncProject, AsyncTally, Patience, context
from tally.codec import contribution as contributions
from tally.engine.options import Options
from tally.engine.project import Project
from tally.engine.rows import Rows
from tally.engine.summary import Summary
from tally.fusion.cells import Cell
from tally.fusion.merging import merge
from tally.fusion.sources import Contribution
from tally.master_key import MasterKey
from tally.projects.cells import seal_cell
from tally.projects.projects import new_project_uuid
from tally.wire.cell_blob import open_sealed, seal
from tally.wire.envelope import raw_envelope
from tally.wire.secret_key import SecretKey

_CASES = ((100, 100), (8, 1000))
_LEARNED = 200  # rows of each cell before it is asked
_ALLOWED_S = 10.0  # that a refresh may take, unless an option says otherwise
_PATIENCE = Patience(answer_s=300.0)
_OPTIONS = """\
rtlm.option.sml.fusion.prefetch.min.time.ms=0
rtlm.option.sml.fusion.fetch.timeout.ms=120000
"""
_MB, _MS = 1e6, 1e3


async def measure(*, quick: bool) -> list[Row]:
    """Return the rows about refreshing."""
    found = []
    for cells, columns in _CASES:
        parts = await asyncio.to_thread(_parts, cells, columns, 1 if quick else 3)
        async with _sites(cells, columns) as sites:
            found += await _refreshed(sites, columns, parts, 3 if quick else 9)
    return found


@dataclass(frozen=True)
class _Sites:
    """Cells at one service, a fusion project over them at another."""

    there: Service
    here: Service
    cells: Sequence[AsyncProject]
    fusion: AsyncProject


@dataclass(frozen=True)
class _Parts:
    """What the parts of a refresh take for all cells, one after the other, in a process alone.

    Attributes:
        seconds: by part.
        answer_bytes: of all answers.
    """

    seconds: Mapping[str, float]
    answer_bytes: int

    def __str__(self) -> str:
        total = sum(self.seconds.values())
        told = (f"{name} {_MS * s:.0f} ms ({s / total:.0%})" for name, s in self.seconds.items())
        return ", ".join(told)


@contextlib.asynccontextmanager
async def _sites(cells: int, columns: int) -> AsyncIterator[_Sites]:
    """Give a fusion project over cells that have learned rows."""
    async with contextlib.AsyncExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="tally-bench-"))
        options = Path(folder) / "options.properties"
        options.write_text(_OPTIONS)
        tallies, services = [], []
        for more in ({}, {"TALLY_OPTIONS_FILE": str(options)}):
            # The cells are servers on this machine, which are refused unless somebody allows them.
            told = {
                "TALLY_MASTER_KEY": new_master_key(),
                "TALLY_OUTBOUND_NETWORKS": "127.0.0.0/8",
                **more,
            }
            service = await opened.enter_async_context(running(1, told))
            customer = await opened.enter_async_context(Customer.of(service))
            account = (customer.cid, customer.key, service.url)
            tallies.append(
                await opened.enter_async_context(AsyncTally(*account, patience=_PATIENCE))
            )
            services.append(service)
        there, here = tallies
        rows = _values(columns)
        names = [f"a{k}" for k in range(columns)]
        frame = dict(zip(names, rows.T.tolist(), strict=True))
        made = []
        for number in range(cells):
            made.append(await there.create(f"c{number}", histogram=False))
            await made[-1].learn(frame)
        fusion = await here.create_fusion("all", made)
        yield _Sites(services[0], services[1], made, fusion)


async def _refreshed(sites: _Sites, columns: int, parts: _Parts, repeats: int) -> list[Row]:
    changed, same = [], []
    row = {f"a{k}": [1.0] for k in range(columns)}
    expected = _LEARNED * len(sites.cells)
    spent = dict.fromkeys(("workers here", "workers there", "broker there"), 0.0)
    await _asked(sites.fusion, expected)
    for _ in range(repeats):
        for cell in sites.cells:
            await cell.learn(row)
        expected += len(sites.cells)
        before = _cpu(sites)
        changed.append(await _asked(sites.fusion, expected))
        for name, seconds in _cpu(sites).items():
            spent[name] += seconds - before[name]
        same.append(await _asked(sites.fusion, expected))
    count = f"{len(sites.cells)} cells of {columns} attributes on another server"
    slow, quick = Spread.of(changed), Spread.of(same)
    mb = parts.answer_bytes / _MB
    cpu = ", ".join(f"{name} {_MS * s / repeats:.0f} ms" for name, s in spent.items())
    return [
        Row(
            name=f"a question to a fusion of {count}, all changed",
            unit="s",
            against="",
            ours=slow,
            value=round(mb / slow.median, 1),
            value_unit="MB/s of answers",
            aim=f"a question below the {_ALLOWED_S:g} s of the options",
            met=slow.high < _ALLOWED_S,
            note=f"{mb:.1f} MB of answers. Its parts, for all cells one after the other in one"
            f" process: {parts}. Processor time: {cpu}; both servers and the asker share the"
            " cores.",
        ),
        Row(
            name=f"a question to a fusion of {count}, none changed",
            unit="s",
            against="the same, all changed",
            ours=quick,
            theirs=slow,
            value=float(f"{quick.median / slow.median:.3g}"),
            value_unit="times its time",
            aim="for information",
        ),
    ]


async def _asked(fusion: AsyncProject, expected: int) -> float:
    """Return how long a question took.

    Raises:
        RuntimeError: the answer does not stand on all rows.
    """
    start = time.perf_counter()
    (told,) = await fusion.explore("uni", [context(["a0"])])
    elapsed_s = time.perf_counter() - start
    if told["count"] != expected:
        raise RuntimeError(f"the answer stands on {told['count']:g} rows, not {expected}")
    return elapsed_s


def _cpu(sites: _Sites) -> dict[str, float]:
    return {
        "workers here": sites.here.cpu_s("serve"),
        "workers there": sites.there.cpu_s("serve"),
        "broker there": sites.there.cpu_s("broker"),
    }


def _parts(cells: int, columns: int, repeats: int) -> _Parts:
    """Return what the parts take, each the least of some repeats."""
    given = _contributions(cells, columns)
    key, one = SecretKey.generate(), given[0]
    packed = contributions.encode(one)
    text = seal(key, packed)
    envelope = raw_envelope(msgspec.json.encode({"blob": text}))
    held = [Snapshot.of(contributions.encode(each), 0) for each in given]
    master, project = MasterKey(bytes(32)), new_project_uuid()
    sealed = [seal_cell(master, Cell.of("", "c", one.source), key, project) for one in given]
    known = {cell.cell: snapshot for cell, snapshot in zip(sealed, held, strict=True)}
    fused = Fused.of(sealed, known)
    each_s: dict[str, Callable[[], object]] = {
        "encoding": lambda: contributions.encode(one),
        "sealing": lambda: raw_envelope(msgspec.json.encode({"blob": seal(key, packed)})),
        "network": lambda: _moved(envelope),
        "opening": lambda: open_sealed(key, msgspec.json.decode(envelope)["values"]["blob"]),
        "decoding": lambda: contributions.decode(packed),
    }
    once_s: dict[str, Callable[[], object]] = {
        "merging": lambda: merge(given),
        "state as bytes": fused.encode,
    }
    seconds = {name: cells * _least(work, repeats) for name, work in each_s.items()}
    seconds |= {name: _least(work, repeats) for name, work in once_s.items()}
    return _Parts(seconds, cells * len(envelope))


def _contributions(cells: int, columns: int) -> list[Contribution]:
    draft = Summary.empty().draft()
    names = tuple(f"a{k}" for k in range(columns))
    draft.add(Rows(names, "C" * columns, (None,) * columns, _values(columns)))
    types = dict.fromkeys(names, "C")
    project = Project(Options(), draft.done(), row_count=_LEARNED, known_types=types)
    return [Contribution.of(f"{number:032x}", "1-1", project) for number in range(cells)]


def _values(columns: int) -> NDArray[np.float64]:
    return np.random.default_rng(7).normal(50, 10, (_LEARNED, columns)).round(6)


def _moved(data: bytes) -> None:
    """Send bytes over loopback, and read them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = threading.Thread(target=_send, args=(listening, data))
        sender.start()
        with socket.create_connection(listening.getsockname()) as connection:
            left = len(data)
            while left:
                left -= len(connection.recv(1 << 18))
        sender.join()


def _send(listening: socket.socket, data: bytes) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(data)


def _least(work: Callable[[], object], repeats: int) -> float:
    spent = []
    for _ in range(repeats + 1):  # the first warms up
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent)
