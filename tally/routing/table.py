"""What the broker knows of workers and heads, as one immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tally.ids import ModelUuid, NodeId
from tally.wire.messages import Announcement, Fitter, Node


@dataclass(frozen=True, slots=True)
class Table:
    """A snapshot; a change makes a new one, so a request sees one state from start to end.

    Attributes:
        nodes: forecast workers, by the last part of their key.
        heads: what was announced, by model name.
        fitters: fit workers, by the last part of their key.
        connected: whether the coordinator is in reach; while it is not, the rest is the last
            that was known.
        deleted: models that are known to be deleted, though a worker may not know it yet.
    """

    nodes: Mapping[NodeId, Node] = field(default_factory=dict)
    heads: Mapping[str, Announcement] = field(default_factory=dict)
    fitters: Mapping[str, Fitter] = field(default_factory=dict)
    connected: bool = False
    deleted: frozenset[ModelUuid] = frozenset()

    def model(self, name: str) -> ModelUuid | None:
        """Return the model that a name means, as far as announcements and workers tell."""
        if (head := self.heads.get(name)) is not None and head.model not in self.deleted:
            return head.model
        # Announcements may be lost with the coordinator's history; workers still say.
        for node in self.nodes.values():
            for model, serving in node.serving.items():
                if serving.name == name and model not in self.deleted:
                    return model
        return None

    def restored(self, model: ModelUuid) -> int:
        """Return how often the store of a model was restored, as far as anybody told."""
        told = [head.restored for head in self.heads.values() if head.model == model]
        loaded = (node.serving.get(model) for node in self.nodes.values())
        return max((*told, *(serving.restored for serving in loaded if serving)), default=0)
