"""Changes of a project's models. Each is a commit of its own, and leaves the statistics alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from model_api.projects.changes import Draft
from tally.projects.batches import STOPPED
from tally.projects.model_records import ModelVersion
from tally.projects.models import Models, Put, Step


@dataclass(frozen=True, slots=True)
class ModelStep(ABC):
    """What all changes of models have in common.

    Attributes:
        request: digest of the request, which tells it from another one with the same id.
        only_id: its id is all that it has to write.
    """

    request: str
    only_id: ClassVar[bool] = False

    @property
    def size_bytes(self) -> int:
        """Next to nothing."""
        return 0

    def digest(self) -> str:
        """Return what tells it from another change with the same id."""
        return self.request

    def apply(self, draft: Draft) -> None:  # noqa: B027 - nothing is what all of them do
        """Do nothing: models are no part of the statistics."""

    @abstractmethod
    async def plan(self, models: Models, put: Put) -> Step:
        """Return what it writes, by what the models are once its turn has come.

        Raises:
            Refused: it cannot be made.
        """


@dataclass(frozen=True, slots=True)
class Publish(ModelStep):
    """A version becomes the served one.

    Attributes:
        made: what is told of it; its number is given when it is published.
        data: its bytes.
    """

    made: ModelVersion
    data: bytes = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """Of the model."""
        return len(self.data)

    async def plan(self, models: Models, put: Put) -> Step:
        """Return what publishes it."""
        return await models.publish(self.made, self.data, put)


@dataclass(frozen=True, slots=True)
class Stop(ModelStep):
    """The work that bears this step's id never publishes anything.

    The two take the same way, one after the other: whichever comes second finds the id taken.
    """

    request: str = STOPPED
    only_id: ClassVar[bool] = True

    async def plan(self, models: Models, put: Put) -> Step:
        """Return that no model changes."""
        return Step(())


@dataclass(frozen=True, slots=True)
class Remove(ModelStep):
    """A model goes, with all of its versions."""

    model: str

    async def plan(self, models: Models, put: Put) -> Step:
        """Return what removes it."""
        return await models.remove(self.model)


@dataclass(frozen=True, slots=True)
class RollBack(ModelStep):
    """An earlier version becomes the served one again; 0 stands for the one before."""

    model: str
    to: int

    async def plan(self, models: Models, put: Put) -> Step:
        """Return what moves the head."""
        return await models.roll_back(self.model, self.to)
