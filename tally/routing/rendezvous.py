"""Which worker is a project's home. Pure: no time, no network."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from tally.ids import NodeId
from tally.wire.projects import ProjectUuid


def rendezvous(project: ProjectUuid, nodes: Collection[NodeId]) -> list[NodeId]:
    """Return the nodes in the order in which they are a project's home.

    A node that joins or leaves moves the projects only that are, or come, to be at home there.

    Example:
        >>> nodes = [NodeId("a_1"), NodeId("b_1"), NodeId("c_1")]
        >>> first, *rest = rendezvous(ProjectUuid("5f" * 16), nodes)
        >>> rendezvous(ProjectUuid("5f" * 16), rest) == rest
        True

    Source: Thaler and Ravishankar 1998, doi:10.1109/90.663936.
    """

    def weight(node_id: NodeId) -> bytes:
        return hashlib.blake2b(f"{project} {node_id}".encode(), digest_size=8).digest()

    return sorted(nodes, key=weight, reverse=True)
