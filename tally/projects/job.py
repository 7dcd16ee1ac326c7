"""A job as it is stored."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tally.ledger.records import BlobRef
from tally.wire.projects import ProjectUuid


class JobState(StrEnum):
    """How far a job has come."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        """Tell whether nothing more will happen."""
        return self in (JobState.DONE, JobState.FAILED)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Row `job/{id}`.

    Attributes:
        id: small, and growing with each job of a customer.
        kind: what it does, as the route is called.
        run: names this one start of it; no other job ever has the same.
        created_at, ended_at: ISO 8601, UTC; empty where it has not ended.
        beat: moved by its broker while it waits or runs.
        project, batch_id: of a change, by which one can find out whether it was made; else empty.
        stoppable: it is long work, which the project's home can be told to stop.
        current, maximum: how many steps it has made, and of how many at most.
        details: for people.
        text: why it failed.
        blob: its answer, where that is large.
    """

    id: int
    kind: str
    run: str
    created_at: str
    state: JobState = JobState.QUEUED
    beat: int = 0
    project: ProjectUuid = ProjectUuid("")
    batch_id: str = ""
    stoppable: bool = False
    current: int = 0
    maximum: int = 1
    details: dict[str, str] = {}
    ended_at: str = ""
    text: str = ""
    blob: BlobRef | None = None
