"""What a project may be created with; refused before anything is stored."""

from __future__ import annotations

from broker.edge.symetry.query import Query
from tally.engine.options import WINDOW
from tally.engine.options import Options as CheckedOptions
from tally.engine.predicates import parse
from tally.errors import TooLarge
from tally.projects.records import MAX_OPTIONS_BYTES, Options
from tally.projects.shards import FEWEST, MOST
from tally.wire.contexts import parse_string_map
from tally.wire.status import Refused

_DEFAULT_KIND = "cpu"
_HISTOGRAM = "enable_histogram"
_TRUE = ("true", "1")
_MAX_SHOWN = 40
_CELLS = "cells"


def creation_options(query: Query, body: bytes) -> Options:
    """Return the options of a request to create a project.

    Args:
        query: may name the type, whether there are histograms, and a number of cells.
        body: a flat map of texts, or empty. What is not known in it is kept as it is.

    Raises:
        Refused: 400, the number of cells cannot be used, or such a project has none.
        InvalidInput: the type is unknown, an option is missing or malformed, or the body is no
            such map.
        TooLarge: the body is.

    Example:
        >>> creation_options(Query(b"Type=CPU&enableHistogram=true"), b'{"lr_x":1}')
        Options(kind='cpu', params={'lr_x': '1'}, histogram=True, cells=0)
    """
    if len(body) > MAX_OPTIONS_BYTES:
        raise TooLarge("body", f"creation options have more than {MAX_OPTIONS_BYTES} bytes")
    params = parse_string_map(body)
    if _CELLS in params:
        raise Refused(f"[{_CELLS}] is a parameter of the query, not of the body")
    by_body = params.pop(_HISTOGRAM, "").strip().lower() in _TRUE
    histogram = query.flag("enableHistogram", default=by_body)
    kind = (query.text("type") or _DEFAULT_KIND).strip()
    checked = CheckedOptions(kind, params, histogram)
    parse(checked.row_filter)
    cells = _cells(query.text(_CELLS))
    if cells:
        _check_cells(checked, persisted=query.flag("persist", default=True))
    return Options(kind=checked.kind, params=params, histogram=histogram, cells=cells)


def _cells(text: str | None) -> int:
    if text is None:
        return 0
    if text.isascii() and text.isdigit() and len(text) < 4 and FEWEST <= int(text) <= MOST:
        return int(text)
    raise Refused(
        f"Invalid parameter [{_CELLS}]: [{text[:_MAX_SHOWN]}] is not a number from {FEWEST} to "
        f"{MOST}"
    )


def _check_cells(options: CheckedOptions, *, persisted: bool) -> None:
    """Refuse what depends on the order of all rows, or on one memory.

    Raises:
        Refused: 400, it says what.
    """
    if options.kind in ("sequence", "partition"):
        raise Refused(f"A project of type [{options.kind}] cannot have cells")
    if options.window is not None:
        raise Refused(f"A project with [{WINDOW}] cannot have cells")
    if not persisted:
        raise Refused("A project with cells cannot have [persist=false]")
