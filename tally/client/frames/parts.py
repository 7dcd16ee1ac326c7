"""A source of rows, and the parts that are sent of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import zstandard

ZSTD = {"Content-Encoding": "zstd"}
_COMPRESSED_FROM = 16 * 2**10
_LEVEL = 1  # numbers as text shrink to a third with it, faster than they are parsed


@dataclass(frozen=True, slots=True)
class Part:
    """The body of one request.

    Attributes:
        rows: in it.
        body: as sent.
        headers: that say what it is.
        query: what the body has no place for.
    """

    rows: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """Rows that can be read more than once, each time the same.

    Attributes:
        names: of the columns.
        rows: how many there are.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""
        ...

    @property
    def rows(self) -> int:
        """How many rows there are."""
        ...

    def guess(self, column: int) -> str | None:
        """Return the type that a column has by its values; None: it holds text."""
        ...

    def parts(
        self, letters: Sequence[str], *, rows: int, start: int, lenient: bool
    ) -> Iterator[Part]:
        """Yield the parts, always the same ones.

        Args:
            letters: the type of each column.
            rows: in each part but the last.
            start: parts to leave out, which were sent already.
            lenient: the server shall take bad cells for missing.
        """
        ...

    def cells(self) -> Iterator[Sequence[object]]:
        """Yield the rows."""
        ...


def binary_query(letters: Sequence[str], lenient: bool) -> dict[str, str]:
    """Return the parameters that go with a body that holds cells only."""
    return {"attributeTypes": ",".join(letters), **({"errorHandling": "1"} if lenient else {})}


def text_part(
    rows: int, body: bytes, media_type: str, query: Mapping[str, str] | None = None
) -> Part:
    """Return a part of text, compressed where that is worth it."""
    headers = {"Content-Type": media_type}
    if len(body) >= _COMPRESSED_FROM:
        body = zstandard.ZstdCompressor(level=_LEVEL).compress(body)
        headers |= ZSTD
    return Part(rows, body, headers, query or {})
