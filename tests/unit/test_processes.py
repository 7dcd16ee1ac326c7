from __future__ import annotations

import asyncio
import os

import pytest

from tally.processes import run


async def _group_of_a_child() -> bool:
    process = await asyncio.create_subprocess_exec("sleep", "60", process_group=0)
    try:
        return os.getpgid(process.pid) == process.pid
    finally:
        process.kill()
        await process.wait()


async def _loop() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_what_spawns_can_give_its_children_a_process_group() -> None:
    found: list[bool] = []

    async def main() -> None:
        found.append(await _group_of_a_child())

    run(main(), spawns=True)

    assert found == [True]


def test_what_spawns_nothing_runs_on_uvloop() -> None:
    pytest.importorskip("uvloop")
    found: list[str] = []

    async def main() -> None:
        found.append(await _loop())

    run(main(), spawns=False)

    assert found == ["uvloop"]
