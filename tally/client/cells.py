"""Cells of a fusion project, as a program names them, and on their way to the server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tally.client.account import Account
from tally.client.explore.questions import Questions
from tally.errors import InvalidInput
from tally.fusion.cells import Cell as Place
from tally.fusion.cells import Scope, repeated
from tally.wire.fusion import FusionCellInfo, check_cell, seal_cells
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused


@dataclass(frozen=True, slots=True, init=False)
class Cell:
    """A project whose statistics a fusion project adds to those of others.

    Args:
        host: origin of its server, as the fusion's server reaches it; empty: that server itself.
        cid, pid: its customer and its name there.
        key: the customer's secret key there; never shown.
        scope: `local`, or of a federated project `federated`.

    Raises:
        InvalidInput: one of them cannot be used.

    Example:
        >>> Cell("https://north.example", "north", "patients", "AAECAwQFBgcICQoLDA0ODw==")
        Cell(host='https://north.example', cid='north', pid='patients', scope='local')
    """

    host: str
    cid: str
    pid: str
    key: SecretKey = field(repr=False)
    scope: str

    def __init__(
        self, host: str, cid: str, pid: str, key: str | SecretKey, scope: str = "local"
    ) -> None:
        secret = key if isinstance(key, SecretKey) else SecretKey.parse(key.strip())
        for name, value in zip(
            ("host", "cid", "pid", "key", "scope"), (host, cid, pid, secret, scope), strict=True
        ):
            object.__setattr__(self, name, value)
        try:
            check_cell(self.info)
        except Refused as error:
            raise InvalidInput("cell", error.text) from None

    @classmethod
    def at(cls, place: str, key: str | SecretKey) -> Cell:
        """Return the cell that is written as `HOST/CID/PID`, or `CID/PID` on the fusion's server.

        Example:
            >>> Cell.at("https://a.example:8443/ann/flowers", "AAECAwQFBgcICQoLDA0ODw==")
            Cell(host='https://a.example:8443', cid='ann', pid='flowers', scope='local')
        """
        return cls(*place_of(place), key)

    @classmethod
    def of(cls, told: FusionCellInfo) -> Cell:
        """Return the cell that the protocol writes so."""
        return cls(told.host, told.cid, told.pid, told.sk, told.scope or Scope.LOCAL)

    @property
    def place(self) -> Place:
        """Which project it means, in the one way by which cells are compared."""
        return self.info.cell

    @property
    def info(self) -> FusionCellInfo:
        """The cell as the protocol writes it."""
        return FusionCellInfo(
            host=self.host, cid=self.cid, sk=self.key.text, pid=self.pid, scope=self.scope
        )


CellLike = Cell | Questions
"""A cell, or the project of a client: its address, customer and key are that client's."""


def place_of(text: str) -> tuple[str, str, str]:
    """Return host, customer and project of `HOST/CID/PID`.

    Raises:
        InvalidInput: it is not written so.

    Example:
        >>> place_of("https://a.example/ann/flowers"), place_of("ann/flowers")
        (('https://a.example', 'ann', 'flowers'), ('', 'ann', 'flowers'))
    """
    parts = ("", *text.strip().rsplit("/", 2))[-3:]
    # Of an origin alone, the scheme is no host.
    if len(parts) < 3 or not all(parts[1:]) or parts[0].endswith((":", ":/")):
        raise InvalidInput("cell", f"{text[:80]!r} is not HOST/CID/PID or CID/PID")
    host, cid, pid = parts
    return host, cid, pid


def sealed(account: Account, cells: Iterable[CellLike]) -> bytes:
    """Return the body that names these cells, encrypted with the customer's key.

    Args:
        account: whose fusion project it is.
        cells: of it; a client's project at the same address stands on the same server.

    Raises:
        InvalidInput: there is none, or one stands there twice.
    """
    found = tuple(_cell(account, given) for given in cells)
    if not found:
        raise InvalidInput("cells", "a fusion project needs at least one")
    if (twice := repeated(cell.place for cell in found)) is not None:
        raise InvalidInput("cells", f"{twice} stands there twice")
    return seal_cells(account.key, [cell.info for cell in found]).encode()


def _cell(account: Account, given: CellLike) -> Cell:
    if isinstance(given, Cell):
        return given
    theirs = given.account
    host = "" if theirs.url == account.url else theirs.url
    return Cell(host, theirs.cid, given.pid, theirs.key)
