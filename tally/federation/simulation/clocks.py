"""Virtual time, and each node's idea of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from tally.clock import ManualClock


class Timeline:
    """The true time; moves only when told to."""

    def __init__(self) -> None:
        self.clock = ManualClock()

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return round(self.clock.now().timestamp() * 1000)

    async def move_to(self, moment_ms: int) -> None:
        """Let time pass until a moment; one that has passed changes nothing."""
        ahead_ms = moment_ms - self.now_ms
        await self.clock.advance(max(0, ahead_ms) / 1000)


class NodeClock:
    """A node's clock, which may be wrong.

    Attributes:
        skew_ms: how far it is ahead of the true time.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.skew_ms = 0

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._timeline.clock.monotonic()

    def now(self) -> datetime:
        """Return the wall clock as the node sees it."""
        return self._timeline.clock.now() + timedelta(milliseconds=self.skew_ms)

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await self._timeline.clock.sleep(seconds)
