"""Jobs for callers that block."""

from __future__ import annotations

from typing import Generic, TypeVar

from tally.client.jobs import AsyncJob, OnStatus
from tally.client.portal import Blocking, wait_for
from tally.client.results.info import JobStatus

T = TypeVar("T")


class Job(Blocking[AsyncJob[T]], Generic[T]):
    """Work that the server does in the background."""

    @property
    def id(self) -> int:
        """Its number."""
        return self._inner.id

    def result(self, timeout_s: float | None = None, *, on_progress: OnStatus | None = None) -> T:
        """Return the result, once there is one; see `AsyncJob.result`."""
        return wait_for(self._inner.result(timeout_s, on_progress=on_progress))

    def status(self) -> JobStatus | None:
        """Return how far it has come; None: it has ended, and has a result."""
        return wait_for(self._inner.status())

    def cancel(self) -> bool:
        """End the job and forget it; False: it is a change under way, which goes on."""
        return wait_for(self._inner.cancel())
