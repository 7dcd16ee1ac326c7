"""What a model is built from: the state of a project at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from model_api.fusion.told import model_params
from model_api.projects.home import Home
from model_api.projects.versions import sources
from tally.engine.project import Project
from tally.models.base import Source
from tally.wire.federation import PEERS


@dataclass(frozen=True, slots=True)
class Basis:
    """One state of a project.

    Attributes:
        project: its statistics.
        generation: of the project then.
        sources: the states that the statistics came from.
        told: more of those, for the model's `info`.
    """

    project: Project
    generation: int
    sources: Sequence[Source]
    told: Mapping[str, str]

    @classmethod
    def of(cls, home: Home) -> Basis:
        """Return the state of a project as it is now; to be called on the event loop."""
        told = {**model_params(home), **_peers(home)}
        return cls(home.project, home.head.generation, sources(home), told)


def _peers(home: Home) -> Mapping[str, str]:
    """Return how the peers are called whose uuids a model of a federation names."""
    if home.federated is None or home.federated.view is None:
        return {}
    names = home.federated.peers
    counted = {leaf.source for leaf in home.federated.provenance} & names.keys()
    named = {uuid: names[uuid] for uuid in sorted(counted)}
    return {PEERS: msgspec.json.encode(named).decode()}
