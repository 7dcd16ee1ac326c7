"""A body read as a project would read it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tally.codec.frame import Limits, decode
from tally.engine.frame import Frame
from tally.errors import InvalidInput

SMALL = Limits(rows=100, columns=20, cells=500, decompressed_bytes=100_000)


def read(
    body: bytes,
    media_type: str = "application/json",
    *,
    encoding: str = "",
    known: Mapping[str, str] | None = None,
    limits: Limits = SMALL,
    **query: str,
) -> Frame:
    return decode(
        body,
        media_type=media_type,
        content_encoding=encoding,
        query=query,
        known=known or {},
        limits=limits,
    )


def sheet(
    *rows: list[object], names: str = "abc", types: str | None = None, **members: object
) -> bytes:
    """A JSON body with names of one letter."""
    content: dict[str, object] = {"attributeNames": list(names), "data": list(rows), **members}
    if types is not None:
        content["attributeTypes"] = list(types)
    return json.dumps(content).encode()


def refused(
    body: bytes,
    media_type: str = "application/json",
    *,
    encoding: str = "",
    known: Mapping[str, str] | None = None,
    limits: Limits = SMALL,
    **query: str,
) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(body, media_type, encoding=encoding, known=known, limits=limits, **query)
    return str(caught.value)
