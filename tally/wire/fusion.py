"""Lists of cells and of their states, as bodies and answers have them: encrypted."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from tally.errors import InvalidInput
from tally.fusion.cells import Cell, Scope, repeated
from tally.wire import texts
from tally.wire.bodycrypt import decrypt, encrypt
from tally.wire.json_body import decode_body
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused

MAX_CELLS = 1000
MAX_HOST = 300
MAX_NAME = 200
_REQUIRED = ("cid", "sk", "pid")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9._\-\[\]:]+", re.ASCII)
_MAX_SHOWN = 80


class FusionCellInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of a fusion project, with the key that asks for its statistics.

    Attributes:
        host: origin of its server; empty or `local`: this one.
        cid, pid: its customer and its name there.
        sk: the customer's secret key there; never shown.
        scope: `local` or `federated`.

    Example:
        >>> FusionCellInfo(cid="c1", sk="secret", pid="p1")
        FusionCellInfo(host='', cid='c1', pid='p1', scope='local')
    """

    host: str = ""
    cid: str = ""
    sk: str = ""
    pid: str = ""
    scope: str = ""

    def __repr__(self) -> str:
        scope = self.scope or Scope.LOCAL.value
        told = f"host={self.host!r}, cid={self.cid!r}, pid={self.pid!r}, scope={scope!r}"
        return f"FusionCellInfo({told})"

    @property
    def cell(self) -> Cell:
        """Which project it means."""
        return Cell.of(self.host, self.cid, self.pid, Scope(self.scope.strip().lower() or "local"))

    @property
    def key(self) -> SecretKey:
        """Its key.

        Raises:
            InvalidInput: it is none.
        """
        return SecretKey.parse(self.sk.strip())


class FusionCellStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the last fetch of a cell went.

    Attributes:
        status: a state, and perhaps a colon and a detail.
        rows, attributes, version: of what was fetched last.
        fetched_at: when that was, in milliseconds since 1970.
        elapsed_ms: that it took.
        age_ms: since then.
    """

    host: str
    cid: str
    status: str
    pid: str
    scope: str = Scope.LOCAL.value
    rows: int = 0
    attributes: int = 0
    version: str = ""
    fetched_at: int = 0
    elapsed_ms: int = 0
    age_ms: int = 0


class _InfoList(msgspec.Struct, frozen=True):
    values: tuple[FusionCellInfo, ...]


class _StatusList(msgspec.Struct, frozen=True):
    values: tuple[FusionCellStatus, ...]


def read_cells(key: SecretKey, body: bytes) -> tuple[FusionCellInfo, ...]:
    """Return the cells in a body that was encrypted with the customer's key.

    Raises:
        Refused: 400, it is not; a member is missing; there is no cell, or one twice.
        InvalidInput: it is no list of cells, or one of them has an impossible member.
    """
    plain = open_body(key, body)
    if plain.lstrip()[:1] == b"[":
        cells = decode_body(plain, tuple[FusionCellInfo, ...])
    else:
        cells = decode_body(plain, _InfoList).values
    if not cells:
        raise InvalidInput("values", "a fusion project needs at least one cell")
    if len(cells) > MAX_CELLS:
        raise InvalidInput("values", f"{len(cells)} cells; at most {MAX_CELLS}")
    for info in cells:
        check_cell(info)
    if (twice := repeated(info.cell for info in cells)) is not None:
        raise InvalidInput("values", f"{twice} stands there twice")
    return cells


def open_body(key: SecretKey, body: bytes) -> bytes:
    """Return what a body holds that is encrypted with the customer's key, in quotes or not.

    Raises:
        Refused: 400, it is not.
    """
    try:
        return decrypt(key, body)
    except InvalidInput:
        raise Refused(texts.CANNOT_DECRYPT) from None


def seal_cells(key: SecretKey, cells: Sequence[FusionCellInfo]) -> str:
    """Return cells encrypted with the customer's key, as `read_cells` takes them."""
    return encrypt(key, msgspec.json.encode(_InfoList(tuple(cells))))


def seal_statuses(key: SecretKey, statuses: Sequence[FusionCellStatus]) -> str:
    """Return the states of cells encrypted with the customer's key."""
    return encrypt(key, msgspec.json.encode(_StatusList(tuple(statuses))))


def read_statuses(key: SecretKey, text: str) -> tuple[FusionCellStatus, ...]:
    """Return what `seal_statuses` encrypted.

    Raises:
        Refused, InvalidInput: it is no such text.
    """
    return decode_body(open_body(key, text.encode()), _StatusList).values


def check_cell(info: FusionCellInfo) -> None:
    """Return if a cell may be one.

    Raises:
        Refused: 400, a member is missing.
        InvalidInput: a member is impossible.
    """
    for name in _REQUIRED:
        if not getattr(info, name).strip():
            raise Refused(texts.missing_key(name))
    for name in ("cid", "pid"):
        text = getattr(info, name)
        if len(text) > MAX_NAME or not text.isprintable():
            raise InvalidInput(name, f"{text[:_MAX_SHOWN]!r} cannot be a name")
    if info.scope.strip().lower() not in ("", *Scope):
        raise InvalidInput("scope", f"{info.scope[:40]!r} is neither local nor federated")
    _check_host(info.cell)
    try:
        _ = info.key
    except InvalidInput:
        raise InvalidInput("sk", f"that of {info.cell} is no secret key") from None


def _check_host(cell: Cell) -> None:
    if cell.is_local:
        return
    if len(cell.host) > MAX_HOST or not _ORIGIN.fullmatch(cell.host):
        shown = cell.host.rpartition("@")[2][:_MAX_SHOWN]  # what stands before may be a password
        raise InvalidInput(
            "host", f"{shown!r} is neither local nor the origin of a server, as https://a.b:443"
        )
