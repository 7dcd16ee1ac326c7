"""How the cells of a fusion project are, and which of them its answers miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tally.client.results.grid import Grid, Shown
from tally.fusion.cells import LOCAL_HOST, CellState
from tally.wire.fusion import FusionCellStatus

NAME = "fusion_cells"
"""Under which `params` of projects and the info of models tell of them."""

_WORDS = {
    CellState.OK: "has something new",
    CellState.NOT_MODIFIED: "has nothing new",
    CellState.PENDING: "was not asked yet",
    CellState.TIMEOUT: "did not answer in time",
    CellState.UNREACHABLE: "cannot be reached",
    CellState.UNAUTHORIZED: "refuses the key, or the clocks of the servers differ",
    CellState.NO_SUCH_PROJECT: "is not there",
    CellState.NOT_SUPPORTED: "is on a server that knows no fusion",
    CellState.INCOMPATIBLE_SCHEMA: "means something else by a name",
    CellState.DUPLICATE_SOURCE: "brings rows that came by another cell already",
    CellState.CYCLE: "asks for this project itself",
    CellState.DEPTH_LIMIT: "stands behind too many fusion projects",
    CellState.TOO_FEW_ROWS: "has too few rows to share them",
    CellState.ERROR: "answered something that cannot be used",
}
# Fetched or not, they are left out of the sum.
_LEFT_OUT = (CellState.INCOMPATIBLE_SCHEMA, CellState.DUPLICATE_SOURCE, CellState.CYCLE)
_GOOD = tuple(state for state in CellState if state.is_good)
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class CellStatus:
    """How a cell is.

    Attributes:
        host: of its server; `local`: the fusion's own.
        cid, pid: its customer and its name there.
        state: such as `OK`, `TIMEOUT`; the words of the protocol.
        detail: what there is to say besides; mostly empty.
        rows, attributes, version: of what it gave last.
        age_s: how old that is, since the cell last said that it is its newest; None: it gave
            nothing yet.
        elapsed_s: that asking it took.
    """

    host: str
    cid: str
    pid: str
    state: str
    detail: str
    rows: int
    attributes: int
    version: str
    age_s: float | None
    elapsed_s: float

    @classmethod
    def of(cls, told: FusionCellStatus) -> CellStatus:
        """Return it as the server tells it."""
        state, _, detail = told.status.partition(":")
        return cls(
            told.host,
            told.cid,
            told.pid,
            state.strip(),
            detail.strip(),
            told.rows,
            told.attributes,
            told.version,
            told.age_ms / 1000 if told.version else None,
            told.elapsed_ms / 1000,
        )

    @property
    def name(self) -> str:
        """Where it is: `HOST/CID/PID`, without a host on the fusion's own server."""
        host = "" if self.host in ("", LOCAL_HOST) else f"{self.host}/"
        return f"{host}{self.cid}/{self.pid}"

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong."""
        return self.state in _GOOD

    @property
    def counts(self) -> bool:
        """Whether answers stand on rows of it, be they old."""
        return bool(self.version) and self.state not in _LEFT_OUT

    @property
    def words(self) -> str:
        """The state as a sentence.

        Example:
            >>> told = FusionCellStatus(host="", cid="ann", pid="a", status="TIMEOUT")
            >>> CellStatus.of(told).words
            'ann/a did not answer in time; none of its rows count'
        """
        # Of a newer server, a state may have no words yet.
        words = _WORDS.get(CellState(self.state)) if self.state in _WORDS else self.state
        said = f"{self.name} {words}" + (f" ({self.detail})" if self.detail else "")
        if self.is_good:
            return said
        if self.counts and self.age_s is not None:
            return f"{said}; its {self.rows} rows of {age(self.age_s)} ago count"
        return f"{said}; none of its rows count"


@dataclass(frozen=True, slots=True)
class CellsStatus(Shown):
    """How the cells of a fusion project are, in the order in which they were given."""

    cells: tuple[CellStatus, ...]

    @classmethod
    def of(cls, told: Sequence[FusionCellStatus]) -> CellsStatus:
        """Return them as the server tells them."""
        return cls(tuple(map(CellStatus.of, told)))

    @classmethod
    def told_in(cls, params: Mapping[str, str]) -> CellsStatus:
        """Return those that projects and models stand on; there are none in an ordinary one."""
        try:
            return cls.of(msgspec.json.decode(params.get(NAME, "[]"), type=list[FusionCellStatus]))
        except msgspec.MsgspecError:
            return cls(())

    @property
    def missing(self) -> tuple[CellStatus, ...]:
        """The cells with which something went wrong."""
        return tuple(cell for cell in self.cells if not cell.is_good)

    @property
    def rows(self) -> int:
        """How many rows they have that count."""
        return sum(cell.rows for cell in self.cells if cell.counts)

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[CellStatus]:
        return iter(self.cells)

    def _title(self) -> str:
        good = len(self.cells) - len(self.missing)
        head = f"{self.rows} rows; {good} of {len(self.cells)} cells answer"
        return "\n".join((head, *(cell.words for cell in self.missing)))

    def _grid(self) -> Grid:
        rows = (
            (cell.name, cell.state, cell.rows, None if cell.age_s is None else age(cell.age_s))
            for cell in self.cells
        )
        return Grid(("cell", "status", "rows", "age"), tuple(rows))


def age(seconds: float) -> str:
    """Return a time as people say it, in one unit.

    Example:
        >>> age(0.2), age(59), age(150), age(7300), age(200000)
        ('0 s', '59 s', '2 min', '2 h', '2 d')
    """
    for size_s, unit in _UNITS:
        if seconds >= size_s:
            return f"{int(seconds // size_s)} {unit}"
    return f"{int(seconds)} s"
