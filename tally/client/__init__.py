"""Python clients of the public API; they need neither numpy nor the engine.

`Tally` blocks, `AsyncTally` is awaited; both speak the signed API of projects. `ForecastClient`
speaks the forecast API.
"""

from tally.client.async_client import AsyncTally
from tally.client.async_project import AsyncProject
from tally.client.blocking import Job, Project, Tally
from tally.client.changes import Progress
from tally.client.errors import (
    ChangeStopped,
    JobFailed,
    NameTaken,
    NotAuthorized,
    ProjectRefused,
    ServerAway,
    ServerRefused,
    UnknownProject,
    UntypedColumn,
)
from tally.client.explore.questions import context
from tally.client.forecasts import ForecastClient
from tally.client.jobs import AsyncJob
from tally.client.session import Patience

__all__ = [
    "AsyncJob",
    "AsyncProject",
    "AsyncTally",
    "ChangeStopped",
    "ForecastClient",
    "Job",
    "JobFailed",
    "NameTaken",
    "NotAuthorized",
    "Patience",
    "Progress",
    "Project",
    "ProjectRefused",
    "ServerAway",
    "ServerRefused",
    "Tally",
    "UnknownProject",
    "UntypedColumn",
    "context",
]
