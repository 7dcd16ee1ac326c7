"""The cells of a fusion project as they are stored and passed between our processes.

A cell's secret key is sealed as soon as it is known, at the edge, and opened by the home for the
moment of a call; so no message between our processes has it, nor has the store.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tally.errors import InvalidInput
from tally.fusion.cells import Cell, Scope
from tally.master_key import MasterKey, Sealed
from tally.wire.projects import ProjectUuid
from tally.wire.secret_key import SecretKey

FUSION = "fusion"
"""The kind of a project that is the sum of others."""

_PURPOSE = "cell key"


class SealedCell(msgspec.Struct, frozen=True, kw_only=True):
    """One project whose statistics a fusion project adds up.

    Attributes:
        host, cid, pid, scope: of `tally.fusion.cells.Cell`.
        key: that customer's secret key, sealed for the fusion project.
    """

    host: str
    cid: str
    pid: str
    scope: Scope = Scope.LOCAL
    key: Sealed

    @property
    def cell(self) -> Cell:
        """Which project it is."""
        return Cell(self.host, self.cid, self.pid, self.scope)


class _Cells(msgspec.Struct, frozen=True):
    cells: tuple[SealedCell, ...] = ()


def seal_cell(master: MasterKey, cell: Cell, key: SecretKey, project: ProjectUuid) -> SealedCell:
    """Return a cell as a fusion project keeps it."""
    sealed = master.seal(key.raw, _PURPOSE, project)
    return SealedCell(host=cell.host, cid=cell.cid, pid=cell.pid, scope=cell.scope, key=sealed)


def cell_key(master: MasterKey, cell: SealedCell, project: ProjectUuid) -> SecretKey:
    """Return a cell's key.

    Raises:
        ConfigurationError: it was sealed under another master key.
        CorruptState: it was changed, or sealed for another project.
    """
    return SecretKey(master.open(cell.key, _PURPOSE, project))


def encode_cells(cells: Sequence[SealedCell]) -> bytes:
    """Return what `decode_cells` reads."""
    return msgspec.json.encode(_Cells(tuple(cells)))


def decode_cells(body: bytes) -> tuple[SealedCell, ...]:
    """Return the cells in the body of an internal call.

    Raises:
        InvalidInput: it has none such.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=_Cells).cells
    except msgspec.MsgspecError:
        # Never with the decoder's words, which may quote the body.
        raise InvalidInput("cells", "the list cannot be read") from None
