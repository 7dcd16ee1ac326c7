"""Changes that wait for their commit, and which of them were made before."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model_api.projects.changes import Change, Delete, Unload
from model_api.projects.limits import Usage
from model_api.projects.model_steps import ModelStep
from model_api.projects.sharing import quiet
from tally.errors import IdempotencyMismatch
from tally.projects.batches import Counted, mismatch
from tally.projects.records import Batch

_GROUP = 256
_GROUP_BYTES = 64 * 2**20  # so that nobody waits long for what others have sent


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change, its id if it has one, and who waits for it."""

    change: Change
    batch: Batch | None
    done: asyncio.Future[None]

    @property
    def ends(self) -> bool:
        """Tell whether the project leaves memory with it."""
        return isinstance(self.change, Delete | Unload)

    @property
    def alone(self) -> bool:
        """Tell whether it is a commit of its own."""
        return self.ends or isinstance(self.change, ModelStep)

    def settle(self, outcome: Exception | None) -> None:
        """Tell what came of it; None: it counts."""
        if self.done.done():
            return
        if outcome is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(outcome)


class Queue:
    """The changes of one project that wait, in order.

    Args:
        usage: of the worker, to which their bytes are added.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, change: Change, batch: Batch | None) -> asyncio.Future[None]:
        """Have a change wait; return what tells of it."""
        done: asyncio.Future[None] = quiet(asyncio.get_running_loop().create_future())
        self._waiting.append(Waiting(change, batch, done))
        self._usage.waiting_bytes += change.size_bytes
        return done

    def take(self) -> list[Waiting]:
        """Take what goes into one commit, in order."""
        group: list[Waiting] = []
        size = 0
        while self._waiting and len(group) < _GROUP and size < _GROUP_BYTES:
            if self._waiting[0].alone and group:
                break
            group.append(self._pop())
            size += group[-1].change.size_bytes
            if group[-1].alone:
                break
        return group

    def refuse(self, error: Exception) -> None:
        """Tell all who wait that nothing comes of it here."""
        while self._waiting:
            self._pop().settle(error)

    def _pop(self) -> Waiting:
        one = self._waiting.popleft()
        self._usage.waiting_bytes -= one.change.size_bytes
        return one


@dataclass(frozen=True, slots=True)
class Sorted:
    """Which changes of a group have to be made, and which were made already.

    Attributes:
        new: places of those to be made.
        known: what is told at once: None to those that were counted before.
        twins: place of the first of a group with the same id, by the place of a later one.
    """

    new: Sequence[int]
    known: Mapping[int, Exception | None]
    twins: Mapping[int, int]

    @classmethod
    def of(cls, group: Sequence[Waiting], counted: Counted) -> Sorted:
        """Sort a group."""
        new: list[int] = []
        known: dict[int, Exception | None] = {}
        twins: dict[int, int] = {}
        firsts: dict[str, int] = {}
        for place, one in enumerate(group):
            if one.batch is None:
                new.append(place)
                continue
            first = firsts.setdefault(one.batch.id, place)
            try:
                if counted.seen(one.batch):
                    known[place] = None
                elif first == place:
                    new.append(place)
                elif group[first].batch == one.batch:
                    twins[place] = first
                else:
                    raise mismatch(one.batch.id)
            except IdempotencyMismatch as error:
                known[place] = error
        return cls(new, known, twins)

    def outcomes(self, made: Mapping[int, Exception | None]) -> Sequence[Exception | None]:
        """Return what is told to each of the group.

        Args:
            made: what came of those to be made; None, also by default: they are.
        """
        count = len(self.new) + len(self.known) + len(self.twins)
        firsts = (self.twins.get(place, place) for place in range(count))
        return [self.known.get(place, made.get(place)) for place in firsts]
