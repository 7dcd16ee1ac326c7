"""Python clients of the public API; they need neither numpy nor the engine.

`Tally` blocks, `AsyncTally` is awaited; both speak the signed API of projects. `ForecastClient`
speaks the forecast API.
"""

from tally.client.async_client import AsyncTally
from tally.client.async_project import AsyncProject
from tally.client.blocking import Project, Tally
from tally.client.blocking_job import Job
from tally.client.cells import Cell
from tally.client.changes import Progress
from tally.client.errors import (
    ChangeStopped,
    FusionCycle,
    FusionEmpty,
    InvitationRefused,
    JobFailed,
    ModelReplaced,
    NameTaken,
    NotAdmin,
    NotAuthorized,
    NotFederated,
    NotFusion,
    NotOnFusion,
    ProjectRefused,
    ServerAway,
    ServerRefused,
    UnknownModel,
    UnknownProject,
    UntypedColumn,
)
from tally.client.explore.questions import context
from tally.client.forecasts import ForecastClient
from tally.client.jobs import AsyncJob
from tally.client.models.blocking import Model
from tally.client.models.handle import AsyncModel
from tally.client.results.cells import CellsStatus, CellStatus
from tally.client.session import Patience

__all__ = [
    "AsyncJob",
    "AsyncModel",
    "AsyncProject",
    "AsyncTally",
    "Cell",
    "CellStatus",
    "CellsStatus",
    "ChangeStopped",
    "ForecastClient",
    "FusionCycle",
    "FusionEmpty",
    "InvitationRefused",
    "Job",
    "JobFailed",
    "Model",
    "ModelReplaced",
    "NameTaken",
    "NotAdmin",
    "NotAuthorized",
    "NotFederated",
    "NotFusion",
    "NotOnFusion",
    "Patience",
    "Progress",
    "Project",
    "ProjectRefused",
    "ServerAway",
    "ServerRefused",
    "Tally",
    "UnknownModel",
    "UnknownProject",
    "UntypedColumn",
    "context",
]
