"""Asking one cell, wherever it is, and the words for what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tally.fusion.cells import Cell, CellState, Status
from tally.wire.secret_key import SecretKey


class CellFailed(Exception):
    """A cell gave nothing.

    Attributes:
        status: why. Its detail is ours, never a word of the other server, which may know the key.
    """

    def __init__(self, state: CellState, detail: str = "") -> None:
        self.status = Status(state, detail)
        super().__init__(self.status.text)


@dataclass(frozen=True, slots=True)
class Question:
    """What a cell is asked.

    Attributes:
        cell, key: which one, and its customer's key.
        since: the version that we have; empty: none.
        headers: of nested questions.
        left_s: how long we wait.
        take: is told how many bytes come, before they are kept; raises `CellFailed`.
    """

    cell: Cell
    key: SecretKey
    since: str
    headers: Mapping[str, str]
    left_s: float
    take: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a cell gave.

    Attributes:
        data: its contribution, as bytes; None: it is what we have.
    """

    data: bytes | None = field(repr=False)


class Fetch(Protocol):
    """Where cells are."""

    async def __call__(self, question: Question, /) -> Fetched:
        """Return what a cell gives.

        Raises:
            CellFailed: nothing.
        """
        ...


def failure(http: int, text: str) -> CellFailed:
    """Return what an answer means that is not 200.

    Args:
        http: its status.
        text: its `statusString`, which is compared and not passed on.

    Example:
        >>> failure(401, "Invalid Signature").status.text
        'UNAUTHORIZED'
        >>> failure(500, "anything").status.text
        'ERROR: HTTP 500'
    """
    for known, said, state, detail in _TOLD:
        if http == known and said in text:
            return CellFailed(state, detail)
    return CellFailed(CellState.ERROR, f"HTTP {http}")


_TOLD = (
    (401, "", CellState.UNAUTHORIZED, ""),
    (403, "", CellState.UNAUTHORIZED, ""),
    (400, "Please update your server time", CellState.UNAUTHORIZED, "the clocks differ too much"),
    (400, "Cannot Find", CellState.NO_SUCH_PROJECT, ""),
    (400, " CYCLE", CellState.CYCLE, ""),
    (400, "has no data", CellState.ERROR, "it is a fusion project that has no data"),
    (404, "", CellState.NOT_SUPPORTED, ""),
    (405, "", CellState.NOT_SUPPORTED, ""),
    (409, "Fusion cycle", CellState.CYCLE, ""),
    (409, "DEPTH_LIMIT", CellState.DEPTH_LIMIT, ""),
    (409, "", CellState.TOO_FEW_ROWS, ""),
)
