"""Reading a `State` with suspicion: stored bytes may be of another version, or damaged."""

from __future__ import annotations

import numpy as np

from tally.errors import CorruptState
from tally.forecast.base import State, Vector


def array(state: State, name: str, length: int | None) -> Vector:
    """Return a vector of float64 from a state.

    Args:
        state: to read from.
        name: of the array.
        length: it must have, if that is known.

    Raises:
        CorruptState: it is missing, or not such a vector.
    """
    found = state.arrays.get(name)
    if found is None or found.ndim != 1 or found.dtype != np.float64:
        raise CorruptState(f"{state.family}: array {name!r} is missing or not a vector of float64")
    if length is not None and len(found) != length:
        raise CorruptState(f"{state.family}: array {name!r} has {len(found)} of {length} values")
    if not np.all(np.isfinite(found)):
        raise CorruptState(f"{state.family}: array {name!r} has values that are not finite")
    return np.asarray(found, dtype=np.float64)


def number(state: State, name: str) -> float:
    """Return a number from a state's metadata; integers up to 2**53 are exact.

    Raises:
        CorruptState: it is missing or no number.
    """
    found = state.meta.get(name)
    if not isinstance(found, int | float):
        raise CorruptState(f"{state.family}: {name!r} is {found!r}, not a number")
    return found


def count(state: State, name: str, least: int) -> int:
    """Return a whole number from a state's metadata.

    Raises:
        CorruptState: it is missing, not whole, below `least`, or above 2**53.
    """
    found = number(state, name)
    if not least <= found <= 2**53 or found != int(found):
        raise CorruptState(f"{state.family}: {name!r} is {found}, not a whole number >= {least}")
    return int(found)


def next_season(state: State) -> Vector:
    """Return the array `season`, `(m,)` for the next steps, over and over; m is at least 1.

    Raises:
        CorruptState: it is missing, empty, or not a vector.
    """
    found = array(state, "season", None)
    if len(found) == 0:
        raise CorruptState(f"{state.family}: array 'season' is empty")
    return found
