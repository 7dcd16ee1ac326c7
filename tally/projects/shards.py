"""The shards of a sharded project: which there are, and which of them a batch goes to."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence

from tally.wire.projects import ProjectUuid

FEWEST, MOST = 2, 64
"""Shards that a project may have."""


def shard_uuid(project: ProjectUuid, number: int) -> ProjectUuid:
    """Return the id of one shard, for ever the same.

    Example:
        >>> shard_uuid(ProjectUuid("0" * 32), 0)
        'b6c5448938a05f50a60afd8d76219cae'
    """
    return ProjectUuid(uuid.uuid5(uuid.UUID(project), str(number)).hex)


def shards(project: ProjectUuid, cells: int) -> Sequence[ProjectUuid]:
    """Return all shards of a project, in order."""
    return [shard_uuid(project, number) for number in range(cells)]


def shard_for(project: ProjectUuid, cells: int, batch_id: str) -> ProjectUuid:
    """Return the shard that a batch goes to, for ever the same, so that a retry meets its own."""
    hashed = hashlib.sha256(batch_id.encode()).digest()
    return shard_uuid(project, int.from_bytes(hashed[:8], "big") % cells)
