"""Query parameters as clients spell them, which is in several ways."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from tally.wire import texts
from tally.wire.status import Refused

MAX_QUERY_BYTES = 64 * 2**10
_MAX_SHOWN = 60
_TRUE, _FALSE = ("true", "1"), ("false", "0")

# What the documents, or clients, also call a parameter.
_SPELLINGS = {
    "newName": ("rename",),
    "otherProjectName": ("otherProject",),
    "enableHistogram": ("enable_histogram",),
}


class Query:
    """The parameters of one request; names are compared without regard to case.

    Args:
        sent: the query as it was sent, without the question mark. Of a name that comes twice the
            last value counts.

    Raises:
        Refused: 400, it is too long.

    Example:
        >>> query = Query(b"NEWNAME=iris+2&async=True")
        >>> query.text("newName"), query.flag("async", default=False), query.text("pid")
        ('iris 2', True, None)
    """

    def __init__(self, sent: bytes = b"") -> None:
        if len(sent) > MAX_QUERY_BYTES:
            raise Refused(f"The query has more than {MAX_QUERY_BYTES} bytes")
        pairs = parse_qsl(sent.decode("latin-1"), keep_blank_values=True)
        self._values = {name.lower(): value for name, value in pairs}

    def text(self, name: str) -> str | None:
        """Return a parameter by any of its spellings; None: it is not there."""
        for spelling in (name, *_SPELLINGS.get(name, ())):
            if (value := self._values.get(spelling.lower())) is not None:
                return value
        return None

    def needed(self, name: str) -> str:
        """Return a parameter that must be there.

        Raises:
            Refused: 400, it is not, or is empty.
        """
        if not (value := self.text(name)):
            raise Refused(texts.missing_parameter(name))
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a parameter that is true or false.

        Raises:
            Refused: 400, it is something else.
        """
        value = self.text(name)
        if not value:
            return default
        if value.lower() not in (*_TRUE, *_FALSE):
            raise Refused(f"Parameter [{name}] is not true or false: [{value[:_MAX_SHOWN]}]")
        return value.lower() in _TRUE

    def chosen(self, names: Iterable[str]) -> dict[str, str]:
        """Return those of some parameters that are there, by the names asked for."""
        found = ((name, self.text(name)) for name in names)
        return {name: value for name, value in found if value is not None}
