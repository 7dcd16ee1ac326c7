from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from model_api.projects.liveness import Liveness
from tally.coordination.base import KeyValue
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import CoordinationUnavailable
from tally.ids import NodeId
from tally.wire.messages import NODES


class Reachable(EmbeddedCoordinator):
    away = False

    async def get(self, key: str) -> KeyValue | None:
        if self.away:
            raise CoordinationUnavailable("away")
        return await super().get(key)


@pytest.fixture
async def coordinator(tmp_path: Path) -> AsyncIterator[Reachable]:
    opened = Reachable(tmp_path / "coordination.db")
    yield opened
    await opened.close()


async def test_a_node_lives_as_long_as_its_key_stands(coordinator: Reachable) -> None:
    alive = Liveness(coordinator)
    lease = await coordinator.grant(2)
    await coordinator.put(f"{NODES}a_1", b"{}", lease)
    assert await alive(NodeId("a_1"))
    assert not await alive(NodeId("b_1"))
    await lease.close()
    assert not await alive(NodeId("a_1"))


async def test_where_nobody_can_tell_a_node_is_not_taken_for_dead(coordinator: Reachable) -> None:
    coordinator.away = True
    assert await Liveness(coordinator)(NodeId("a_1"))
