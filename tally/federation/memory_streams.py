"""Streams as a broker keeps them: messages in order, and each consumer's place in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tally.federation.faults import Faults


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that the broker took at `broker_ms`."""

    subject: str
    data: bytes
    broker_ms: int


@dataclass(slots=True)
class _Place:
    """What one consumer still has to get: number -> moments at which it is delivered."""

    due: dict[int, list[int]] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)


class Stream:
    """A stream.

    Args:
        faults: drawn for each delivery.
        last_only: keep only the last message of each subject.
        lossy: a message may be lost although it was taken.
    """

    def __init__(self, faults: Faults, *, last_only: bool, lossy: bool = False) -> None:
        self._faults = faults
        self._last_only = last_only
        self._lossy = lossy
        self._kept: dict[int, Stored] = {}
        self._places: dict[str, _Place] = {}
        self._count = 0

    @property
    def consumers(self) -> frozenset[str]:
        """Who has a place."""
        return frozenset(self._places)

    def bind(self, consumer: str, now_ms: int) -> None:
        """Give a consumer a place before all that is kept, unless it has one."""
        if consumer not in self._places:
            place = self._places[consumer] = _Place()
            for number in self._kept:
                self._schedule(place, number, now_ms)

    def unbind(self, consumer: str) -> None:
        """Forget a consumer's place."""
        self._places.pop(consumer, None)

    def put(self, subject: str, data: bytes, now_ms: int) -> None:
        """Keep a message and schedule its deliveries."""
        if self._lossy and self._faults.happens(self._faults.drop, "snapshots lost"):
            return
        if self._last_only:
            self.purge(subject)
        self._count += 1
        self._kept[self._count] = Stored(subject, data, now_ms)
        for place in self._places.values():
            self._schedule(place, self._count, now_ms)

    def purge(self, subject: str) -> None:
        """Remove the messages of a subject."""
        self._kept = {n: kept for n, kept in self._kept.items() if kept.subject != subject}

    def take(self, consumer: str, now_ms: int, limit: int) -> list[tuple[int, Stored]]:
        """Return what is due to a consumer, the longest due first; it comes again unless acked."""
        place = self._places[consumer]
        due = sorted(
            (moment, number)
            for number, moments in place.due.items()
            for moment in moments
            if moment <= now_ms
        )
        taken = []
        for moment, number in due[:limit]:
            if number not in place.due:
                continue  # given up a moment ago
            place.due[number].remove(moment)
            stored = self._kept.get(number)
            place.tries[number] = place.tries.get(number, 0) + 1
            if stored is None or place.tries[number] > self._faults.max_deliver:
                place.due.pop(number)
                continue
            place.due[number].append(now_ms + self._faults.ack_wait_ms)
            if not self._faults.happens(self._faults.miss, "deliveries missed"):
                taken.append((number, stored))
        return taken

    def acknowledge(self, consumer: str, number: int, now_ms: int) -> None:
        """Deliver a message no more, but for what is on its way already."""
        place = self._places.get(consumer)
        if place is not None and number in place.due:
            late = [m for m in place.due[number] if m < now_ms + self._faults.delay_ms]
            if late:
                place.due[number] = late
            else:
                del place.due[number]

    def next_due(self, consumer: str) -> int | None:
        """Return when something is due to a consumer next; None: nothing is kept for it."""
        place = self._places.get(consumer)
        moments = (
            [m for number, ms in place.due.items() if number in self._kept for m in ms]
            if place
            else []
        )
        return min(moments, default=None)

    def of(self, subject: str) -> Iterator[Stored]:
        """Yield the messages of a subject, oldest first."""
        yield from (kept for kept in self._kept.values() if kept.subject == subject)

    def _schedule(self, place: _Place, number: int, now_ms: int) -> None:
        again = self._faults.happens(self._faults.repeat, "deliveries repeated")
        copies = 1 + (self._faults.repeats if again else 0)
        place.due[number] = [now_ms + self._faults.delay() for _ in range(copies)]
