"""How much of this worker projects may take."""

from __future__ import annotations

from dataclasses import dataclass, field

from model_api.settings import WorkerSettings
from tally.codec.frame.limits import Limits


@dataclass(frozen=True, slots=True)
class HomeLimits:
    """Bounds, each of one worker unless it says otherwise.

    Attributes:
        memory_bytes: of projects that are loaded; those used least recently go first.
        waiting: changes of one project that wait for their commit.
        waiting_bytes: of the bodies of all that wait.
        body_bytes: of one call.
        threads: that decode and fold at once; as many that compute answers, that build models, and
            that search for them; one more answers what takes long.
        wait_s: how long a call may take before its caller is told to ask again.
        grace_s: how long a snapshot outlives the commit that replaced it.
        frame: of the rows in one body.
        versions: of a model that are kept.
        model_bytes: of models that are decoded; those used least recently go first.
        build_s: how long a model may take to build.
    """

    memory_bytes: int = 2**30
    waiting: int = 256
    waiting_bytes: int = 256 * 2**20
    body_bytes: int = 256 * 2**20
    threads: int = 2
    wait_s: float = 60.0
    grace_s: float = 5.0
    frame: Limits = field(default_factory=Limits)
    versions: int = 5
    model_bytes: int = 128 * 2**20
    build_s: float = 600.0


@dataclass(slots=True)
class Usage:
    """How much of them is taken now.

    Attributes:
        memory_bytes: by the projects that are loaded.
        waiting_bytes: by the bodies of changes that wait.
    """

    memory_bytes: int = 0
    waiting_bytes: int = 0


def home_limits(settings: WorkerSettings) -> HomeLimits:
    """Return the bounds that a worker's settings ask for."""
    return HomeLimits(
        memory_bytes=settings.project_memory_bytes,
        waiting=settings.project_waiting,
        waiting_bytes=settings.project_waiting_bytes,
        body_bytes=settings.project_body_bytes,
        threads=settings.project_threads,
        wait_s=settings.project_wait_s,
        frame=Limits(decompressed_bytes=settings.project_body_bytes),
        versions=settings.project_model_versions,
        model_bytes=settings.project_model_bytes,
        build_s=settings.project_build_s,
    )
