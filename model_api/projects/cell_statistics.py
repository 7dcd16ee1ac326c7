"""What a project gives to those who merge it: its statistics, once for each version."""

from __future__ import annotations

from model_api.projects.calls import Call
from model_api.projects.home import Home
from model_api.projects.versions import contribution
from tally.codec.contribution import encode, head
from tally.fusion.cells import Scope
from tally.fusion.sources import Contribution
from tally.wire import texts
from tally.wire.cell_statistics import pack_cell
from tally.wire.status import Refused, StatusCode

MIN_ROWS = "sml_min_rows_to_share"
"""Creation key: `true`: statistics of fewer rows than attributes and five are not shared."""

_SPARE_ROWS = 5


def shared(home: Home, call: Call) -> Contribution:
    """Return what the project gives, as it is now; nothing is computed.

    Raises:
        Refused: 400, the project has no such statistics; 409, it has too few rows to share any.
    """
    pid = home.head.pid
    scope = call.query.get("scope", "").strip().lower() or Scope.LOCAL
    if scope == Scope.FEDERATED and home.federated is None:
        raise Refused(texts.not_federated(pid))
    if scope not in (Scope.LOCAL, Scope.FEDERATED):
        raise Refused(f"Invalid parameter [scope]: [{scope[:40]}]")
    given = contribution(home, Scope(scope))
    needed = len(given.project.summary.schema) + _SPARE_ROWS
    if _is_careful(home) and given.rows < needed:
        raise Refused(texts.too_few_rows(pid, given.rows, needed), StatusCode.CONFLICT)
    return given


def packed(given: Contribution, since: str) -> bytes:
    """Return a contribution as bytes, without its statistics if `since` is its version."""
    if since == given.version:
        return pack_cell(head(given, not_modified=True))
    return encode(given)


def _is_careful(home: Home) -> bool:
    return home.head.options.params.get(MIN_ROWS, "").strip().lower() == "true"
