"""What a model is built from: the state of a project at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model_api.fusion.told import model_params
from model_api.projects.home import Home
from model_api.projects.versions import sources
from tally.engine.project import Project
from tally.models.base import Source


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
        return cls(home.project, home.head.generation, sources(home), model_params(home))
