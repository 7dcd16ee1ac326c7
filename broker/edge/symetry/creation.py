"""What a project may be created with; refused before anything is stored."""

from __future__ import annotations

from broker.edge.symetry.query import Query
from tally.engine.options import Options as CheckedOptions
from tally.engine.predicates import parse
from tally.errors import TooLarge
from tally.projects.records import MAX_OPTIONS_BYTES, Options
from tally.wire.contexts import parse_string_map
from tally.wire.status import Refused

_DEFAULT_KIND = "cpu"
_HISTOGRAM = "enable_histogram"
_TRUE = ("true", "1")
# Better refused than made into a project that is not what was asked for.
_NOT_THERE = ("cells",)


def creation_options(query: Query, body: bytes) -> Options:
    """Return the options of a request to create a project.

    Args:
        query: may name the type and whether there are histograms.
        body: a flat map of texts, or empty. What is not known in it is kept as it is.

    Raises:
        Refused: 400, an option that is not there.
        InvalidInput: the type is unknown, an option is missing or malformed, or the body is no
            such map.
        TooLarge: the body is.

    Example:
        >>> creation_options(Query(b"Type=CPU&enableHistogram=true"), b'{"lr_x":1}')
        Options(kind='cpu', params={'lr_x': '1'}, histogram=True)
    """
    if len(body) > MAX_OPTIONS_BYTES:
        raise TooLarge("body", f"creation options have more than {MAX_OPTIONS_BYTES} bytes")
    params = parse_string_map(body)
    for name in _NOT_THERE:
        if name in params or query.text(name) is not None:
            raise Refused(f"Unknown creation option [{name}]")
    by_body = params.pop(_HISTOGRAM, "").strip().lower() in _TRUE
    histogram = query.flag("enableHistogram", default=by_body)
    kind = (query.text("type") or _DEFAULT_KIND).strip()
    checked = CheckedOptions(kind, params, histogram)
    parse(checked.row_filter)
    return Options(kind=checked.kind, params=params, histogram=histogram)
