"""The cells of a fusion project: which they are, and how the last fetch of each went."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

LOCAL_HOST = "local"
_MAX_DETAIL = 300


class Scope(StrEnum):
    """Which statistics of a federated project are meant; others have only one kind."""

    LOCAL = "local"
    FEDERATED = "federated"


class CellState(StrEnum):
    """How the last fetch of a cell went."""

    OK = "OK"
    NOT_MODIFIED = "NOT_MODIFIED"
    PENDING = "PENDING"
    TIMEOUT = "TIMEOUT"
    UNREACHABLE = "UNREACHABLE"
    UNAUTHORIZED = "UNAUTHORIZED"
    NO_SUCH_PROJECT = "NO_SUCH_PROJECT"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    INCOMPATIBLE_SCHEMA = "INCOMPATIBLE_SCHEMA"
    DUPLICATE_SOURCE = "DUPLICATE_SOURCE"
    CYCLE = "CYCLE"
    DEPTH_LIMIT = "DEPTH_LIMIT"
    TOO_FEW_ROWS = "TOO_FEW_ROWS"
    ERROR = "ERROR"

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong."""
        return self in (CellState.OK, CellState.NOT_MODIFIED, CellState.PENDING)


@dataclass(frozen=True, slots=True)
class Status:
    """A state, with what there is to say about it.

    Attributes:
        detail: for people; never a secret, since it is shown and logged.

    Example:
        >>> Status(CellState.TIMEOUT).text, Status(CellState.ERROR, "cut short").text
        ('TIMEOUT', 'ERROR: cut short')
    """

    state: CellState
    detail: str = ""

    @property
    def text(self) -> str:
        """The state as the protocol tells it, on one line."""
        detail = " ".join(self.detail.split())[:_MAX_DETAIL]
        return f"{self.state}: {detail}" if detail else str(self.state)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Cell:
    """Which project of whom, where.

    Attributes:
        host: `local`, or an origin such as `https://site.example:8443`, without a slash at its end.
        cid, pid: the customer and the project, as they are called there.
        scope: of a federated project.

    Example:
        >>> str(Cell.of("https://a.example/", "c1", "p1"))
        'cell[https://a.example c1/p1]'
        >>> Cell.of(" ", "c1", "p1") == Cell.of("LOCAL", "c1", "p1")
        True
    """

    host: str
    cid: str
    pid: str
    scope: Scope = Scope.LOCAL

    @classmethod
    def of(cls, host: str, cid: str, pid: str, scope: Scope = Scope.LOCAL) -> Cell:
        """Return the cell with its host written in the one way by which cells are compared."""
        plain = host.strip().rstrip("/")
        scheme, colon, rest = plain.partition("://")
        authority, slash, path = rest.partition("/")
        plain = f"{scheme.lower()}{colon}{authority.lower()}{slash}{path}"
        return cls(plain or LOCAL_HOST, cid, pid, scope)

    @property
    def is_local(self) -> bool:
        """Whether it names this server as such; a public URL of ours may do so too."""
        return self.host == LOCAL_HOST

    def __str__(self) -> str:
        return f"cell[{self.host} {self.cid}/{self.pid}]"


def repeated(cells: Iterable[Cell]) -> Cell | None:
    """Return the first cell that stands there twice.

    Example:
        >>> one = Cell.of("local", "c1", "p1")
        >>> repeated([one, Cell("local", "c1", "p1", Scope.FEDERATED)]), repeated([one, one]) == one
        (None, True)
    """
    seen: set[Cell] = set()
    for cell in cells:
        if cell in seen:
            return cell
        seen.add(cell)
    return None


def fetch_error(statuses: Iterable[tuple[Cell, Status]]) -> str:
    """Return `fusion_fetch_error`: each cell that could not be read, and why; empty if none.

    Example:
        >>> good = (Cell.of("local", "c1", "a"), Status(CellState.OK))
        >>> bad = (Cell.of("https://b.example", "c1", "b"), Status(CellState.UNREACHABLE))
        >>> fetch_error([good, bad])
        'cell[https://b.example c1/b] UNREACHABLE'
    """
    return "; ".join(f"{cell} {status}" for cell, status in statuses if not status.state.is_good)
