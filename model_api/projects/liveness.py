"""Whether the home of a project still lives, as far as the coordinator knows."""

from __future__ import annotations

from tally.coordination.base import Coordinator
from tally.errors import CoordinationUnavailable
from tally.ids import NodeId
from tally.wire.messages import NODES


class Liveness:
    """Asks whether a node's lease stands.

    Args:
        coordinator: where nodes announce themselves.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    async def __call__(self, node: NodeId) -> bool:
        """Return whether a node lives; also where nobody can tell, so that nothing is lost."""
        try:
            return await self._coordinator.get(f"{NODES}{node}") is not None
        except CoordinationUnavailable:
            return True
