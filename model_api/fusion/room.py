"""How much of cells may be in memory while they are fetched: what comes may be anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from model_api.fusion.fetching import CellFailed
from tally.fusion.cells import CellState


class Room:
    """Bytes that all who fetch at once may take together.

    Args:
        size_bytes: those.
    """

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._taken_bytes = 0

    @contextmanager
    def share(self, held_bytes: int = 0) -> Iterator[Share]:
        """Give a share for one refresh, whose project takes so much already; it is given back."""
        share = Share(self, held_bytes)
        try:
            yield share
        finally:
            self.give(share.taken_bytes)

    def take(self, size_bytes: int) -> None:
        """Take some of it.

        Raises:
            CellFailed: there is not so much left.
        """
        if self._taken_bytes + size_bytes > self._size_bytes:
            raise CellFailed(CellState.ERROR, "too much is being fetched at once")
        self._taken_bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        """Give some of it back."""
        self._taken_bytes -= size_bytes

    @property
    def size_bytes(self) -> int:
        """All of it."""
        return self._size_bytes


class Share:
    """What one refresh takes.

    Attributes:
        taken_bytes: by now.
    """

    def __init__(self, room: Room, held_bytes: int) -> None:
        self._room = room
        self._held_bytes = held_bytes
        self.taken_bytes = 0

    @contextmanager
    def part(self) -> Iterator[Callable[[int], None]]:
        """Give what takes bytes for one cell; if that fails, they are given back at once.

        Taking raises `CellFailed` where there is not so much left.
        """
        taken_bytes = 0

        def take(size_bytes: int) -> None:
            nonlocal taken_bytes
            self._room.take(size_bytes)
            self.taken_bytes += size_bytes
            taken_bytes += size_bytes

        try:
            yield take
        except BaseException:
            self._room.give(taken_bytes)
            self.taken_bytes -= taken_bytes
            raise

    def keep(self, new_bytes: int, old_bytes: int) -> None:
        """Let the project grow: what a cell gave will stand in place of what it gave before.

        Raises:
            CellFailed: the project would be larger than the room.
        """
        grown_bytes = self._held_bytes + new_bytes - old_bytes
        if grown_bytes > self._room.size_bytes:
            raise CellFailed(CellState.ERROR, "with it the project would not fit into memory")
        self._held_bytes = grown_bytes
