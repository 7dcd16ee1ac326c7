"""Writes the golden state of a fusion project if it is missing.

Run `python -m tests.golden.write_fusion`. A file that exists is never written again; a new format
of the stored bytes adds files of its own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model_api.fusion.state import FORMAT_VERSION, Fused, Snapshot
from tally.codec.contribution import encode
from tally.engine.frame import Frame
from tally.engine.options import Options
from tally.engine.project import Project
from tally.fusion.cells import Scope
from tally.fusion.sources import Contribution
from tally.master_key import Sealed
from tally.projects.cells import SealedCell

HERE = Path(__file__).parent
_KEY = Sealed("0" * 16, bytes(range(44)))

CELLS = (
    SealedCell(host="local", cid="ann", pid="a", key=_KEY),
    SealedCell(host="https://b.example:8443", cid="bob", pid="b", scope=Scope.FEDERATED, key=_KEY),
)


def _snapshot(source: str, names: tuple[str, ...], rows: int, at_ms: int) -> Snapshot:
    columns = tuple(
        np.arange(rows, dtype=np.float64) + np.float64(place) / 2 for place in range(len(names))
    )
    draft = Project.empty(Options()).draft()
    draft.learn(Frame(names, "C" * len(names), columns, rows))
    data = encode(Contribution.of(source, "1767225600000-1", draft.done()))
    return Snapshot.of(data, at_ms)


def fused() -> Fused:
    """Return a state with two cells that were fetched, of 3 and 2 rows."""
    snapshots = (
        _snapshot("a" * 32, ("x", "y"), 3, 1_000),
        _snapshot("b" * 32, ("y", "z"), 2, 2_000),
    )
    found = {one.cell: snapshot for one, snapshot in zip(CELLS, snapshots, strict=True)}
    return Fused.of(CELLS, found)


if __name__ == "__main__":
    path = HERE / f"two_cells.v{FORMAT_VERSION}.fusion"
    if not path.exists():
        path.write_bytes(fused().encode())
