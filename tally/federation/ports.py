"""What a running peer needs of the process that it runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from tally.federation import effects as fx
from tally.federation.state import Local

T = TypeVar("T")


class Home(Protocol):
    """What a peer's projects do for it."""

    async def freeze(self) -> Local:
        """Return the local project as it is now, in wire form."""
        ...

    async def rebuild(self, parts: fx.Rebuild) -> str:
        """Merge these, swap the federated project, and return the entry of the sync log."""
        ...

    async def explore(self, question: fx.Explore) -> object:
        """Answer a peer from our last approved snapshot.

        Raises:
            TallyError: the question cannot be answered; the peer reads why.
        """
        ...


class Journal(Protocol):
    """Keeps a peer's state; a save is durable when it returns, and replaces the one before."""

    async def load(self) -> tuple[bytes, Mapping[str, bytes]] | None:
        """Return the record and its snapshots; None: there is none."""
        ...

    async def save(self, record: bytes, snapshots: Mapping[str, bytes]) -> None:
        """Save; snapshots of the record before that are not named any more may go."""
        ...


class Offload(Protocol):
    """Runs what takes long somewhere else; by default in a thread."""

    async def __call__(self, call: Callable[..., T], /, *args: Any) -> T:
        """Return what the call returns."""
        ...
