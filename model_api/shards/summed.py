"""What the home of a sharded project has of its shards, in memory only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from model_api.projects.sharing import Shared
from tally.engine.project import Project
from tally.fusion.sources import Contribution, Leaf
from tally.wire.projects import ProjectUuid


@dataclass(slots=True)
class Summed:
    """The shards of one project, as they were when they were last asked.

    Attributes:
        parts: what each of them has.
        total: their sum; None: they were never all asked.
        leaves: the versions that the sum stands on.
        modified_ms: when the last of them learned or forgot, in milliseconds since 1970.
        wrong: why they cannot be added up now; empty: `total` is their sum.
        fetch: asks them.
        judged: how many sums forgets were judged by.
        fence: the number of the sum that is to be fetched next, if forgets are to be judged by it.
    """

    parts: Mapping[ProjectUuid, Contribution] = field(default_factory=dict)
    total: Project | None = None
    leaves: tuple[Leaf, ...] = ()
    modified_ms: int = 0
    wrong: str = ""
    fetch: Shared | None = None
    judged: int = 0
    fence: int | None = None

    @property
    def size_bytes(self) -> int:
        """Of the parts and their sum."""
        size = sum(part.project.size_bytes for part in self.parts.values())
        return size + (0 if self.total is None else self.total.size_bytes)
