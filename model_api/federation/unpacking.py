"""Reading what a federated project was stored as, whatever the version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from numpy.typing import NDArray

from tally.errors import CorruptState

Meta = TypeVar("Meta", bound=msgspec.Struct)


def read(meta: Mapping[str, Any], kind: type[Meta]) -> Meta:
    """Return what stands beside the arrays.

    Raises:
        CorruptState: it is something else.
    """
    try:
        return msgspec.convert(meta, kind)
    except msgspec.ValidationError as error:
        raise CorruptState(f"the stored federated project cannot be read: {error}") from error


def content(arrays: Mapping[str, NDArray[Any]], name: str) -> bytes:
    """Return the bytes of one array.

    Raises:
        CorruptState: it is not there.
    """
    if (array := arrays.get(name)) is None:
        raise CorruptState(f"the stored federated project misses {name!r}")
    return array.tobytes()
