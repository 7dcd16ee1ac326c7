"""The figures of docs/scaling.md follow from those that it says were measured."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()
_PLANNED, _CORES_OF_A_MACHINE = 0.7, 8
_UNITS = {"ms": 1.0, "µs": 1e-3}


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """Return the cells of a section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def number(text: str) -> float:
    return float(text.replace(" ", ""))


MEASURED_MS = {
    name: number(found[1]) * _UNITS[found[2]]
    for name, value, *_ in rows("What was measured")
    if name and (found := re.fullmatch(r"([\d.]+) (ms|µs)", value))
}
WORKER_MS = {
    columns: number(together.removesuffix(" ms"))
    for columns, *_, together in rows("What a worker does with 1 MB")
    if columns.isdigit()
}


@pytest.mark.parametrize("columns", ["15", "100", "1000"])
def test_what_a_megabyte_costs_follows_from_the_measurements(columns: str) -> None:
    per_mb = {k: 1e6 / 8 / k for k in (15, 100, 1000)}
    besides = MEASURED_MS["W"] - per_mb[15] * MEASURED_MS["e15"]
    learned = per_mb[int(columns)] * MEASURED_MS[f"e{columns}"]
    assert WORKER_MS[columns] == pytest.approx(besides + learned, rel=0.02)


@pytest.mark.parametrize("row", rows("How many cells")[1:], ids=lambda row: row[0])
def test_cores_cells_and_machines_follow_from_the_bytes(row: list[str]) -> None:
    stream, mb, broker_cores, worker_cores, brokers, cells, machines = row
    if "JSON" in stream:
        broker_ms, worker_ms = MEASURED_MS["b"], MEASURED_MS["w"]
    else:
        (columns,) = re.findall(r"of (\d+) columns", stream)
        broker_ms, worker_ms = MEASURED_MS["B"], WORKER_MS[columns]
    cores = [number(mb) * ms / 1000 for ms in (broker_ms, worker_ms)]
    assert [number(broker_cores), number(worker_cores)] == pytest.approx(cores, rel=0.03)
    needed = [math.ceil(each / _PLANNED) for each in cores]
    assert [int(brokers), int(cells)] == needed
    assert int(machines) == math.ceil(sum(needed) / _CORES_OF_A_MACHINE)


def test_a_refresh_fits_into_its_time_as_told() -> None:
    told = section("What a fusion over them costs")
    most = math.floor(10_000 / MEASURED_MS["r1000"])
    assert f"{most} cells of 1000 attributes" in told
    assert f"which take {MEASURED_MS['r100']:g} s" in told  # 1000 of them
    spent_s = most * MEASURED_MS["c1000"] / 1000
    each = f"{MEASURED_MS['c1000']:g} ms"
    assert re.search(rf"{most} . {each} = {spent_s:.1f} s of a core", told)
