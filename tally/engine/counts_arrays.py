"""Histograms as plain arrays and JSON-able names, for whoever stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from tally.engine.align import LARGEST
from tally.engine.binary_counts import BinaryCounts
from tally.engine.value_counts import ValueCounts
from tally.errors import CorruptState

Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]
Meta: TypeAlias = Mapping[str, object]

_LARGEST_COUNT = 2**53


class Parts(NamedTuple):
    """What histograms are made of; see `Histograms`."""

    continuous: Mapping[str, ValueCounts]
    given: Mapping[str, ValueCounts] | None
    binary: BinaryCounts
    partial: bool


def to_arrays(parts: Parts) -> tuple[dict[str, NDArray[np.generic]], dict[str, object]]:
    """Return the arrays of histograms and what they are called; equal ones give equal arrays.

    The tables of all continuous attributes stand one after the other in `continuous.values` and
    `continuous.counts`, `continuous.sizes` rows of each; those under conditions likewise in
    `given.*`. All numbers are finite: extremes of a column without rows are written as 0.
    """
    binary = parts.binary
    arrays = _packed("continuous", list(parts.continuous.values()), 1)
    arrays["binary.every"] = binary.every
    if parts.given is not None:
        arrays |= _packed("given", list(parts.given.values()), len(binary.names))
    if binary.given is not None:
        arrays["binary.given"] = binary.given
    meta: dict[str, object] = {
        "continuous": list(parts.continuous),
        "given": None if parts.given is None else list(parts.given),
        "binary": list(binary.names),
        "bases": list(binary.bases),
        "partial": parts.partial,
    }
    return arrays, meta


def from_arrays(arrays: Arrays, meta: Meta) -> Parts:
    """Return what these arrays hold.

    Raises:
        CorruptState: they do not belong together, or break what histograms promise.
    """
    try:
        names = _Names.of(meta)
        b = len(names.binary)
        continuous = _unpacked("continuous", names.continuous, 1, arrays)
        every = _counts(arrays["binary.every"], (2, b))
        given = binary_given = None
        if names.given is not None:
            given = _unpacked("given", names.given, b, arrays)
            binary_given = _counts(arrays["binary.given"], (2, b, b))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptState(f"the stored histograms cannot be read: {error!r}") from error
    binary = BinaryCounts(names.binary, names.bases, every, binary_given)
    return Parts(continuous, given, binary, names.partial)


@dataclass(frozen=True, slots=True)
class _Names:
    continuous: tuple[str, ...]
    given: tuple[str, ...] | None
    binary: tuple[str, ...]
    bases: tuple[str | None, ...]
    partial: bool

    @classmethod
    def of(cls, meta: Meta) -> _Names:
        lists = {key: meta[key] for key in ("continuous", "given", "binary", "bases")}
        for key, found in lists.items():
            texts = isinstance(found, list | tuple) and all(
                isinstance(item, str) or (item is None and key == "bases") for item in found
            )
            if not texts and not (found is None and key == "given"):
                raise ValueError(f"{key} is no list of names")
        as_names = cast("Mapping[str, Sequence[str]]", lists)
        continuous, binary = tuple(as_names["continuous"]), tuple(as_names["binary"])
        given = None if lists["given"] is None else tuple(as_names["given"])
        if len({*continuous, *binary}) != len(continuous) + len(binary):
            raise ValueError("a name stands there twice")
        if given is not None and sorted(given) != sorted(continuous):
            raise ValueError("counts under conditions are of other attributes")
        if len(as_names["bases"]) != len(binary):
            raise ValueError("not one base for each binary attribute")
        return cls(continuous, given, binary, tuple(as_names["bases"]), meta["partial"] is True)


def _packed(
    prefix: str, tables: Sequence[ValueCounts], columns: int
) -> dict[str, NDArray[np.generic]]:
    none = ValueCounts.empty(columns)
    extremes = [table.extremes for table in tables if table.extremes is not None]
    together = np.stack(extremes) if extremes else np.zeros((0, 2, columns))
    return {
        f"{prefix}.values": np.concatenate([none.values, *(table.values for table in tables)]),
        f"{prefix}.counts": np.concatenate([none.counts, *(table.counts for table in tables)]),
        f"{prefix}.sizes": np.array([len(table.values) for table in tables], np.int64),
        f"{prefix}.sketched": np.array([table.extremes is not None for table in tables], np.uint8),
        f"{prefix}.extremes": np.where(np.isfinite(together), together, 0.0),
    }


def _unpacked(
    prefix: str, names: Sequence[str], columns: int, arrays: Arrays
) -> dict[str, ValueCounts]:
    sizes = _counts(arrays[f"{prefix}.sizes"], (len(names),))
    sketched = np.asarray(arrays[f"{prefix}.sketched"], bool)
    values = np.asarray(arrays[f"{prefix}.values"], np.float64)
    extremes = np.asarray(arrays[f"{prefix}.extremes"], np.float64)
    rows = int(sizes.sum())
    counts = _counts(arrays[f"{prefix}.counts"], (rows, columns))
    if values.shape != (rows,) or sketched.shape != (len(names),):
        raise ValueError(f"{prefix} has arrays of other lengths than its sizes")
    if extremes.shape != (int(sketched.sum()), 2, columns):
        raise ValueError(f"{prefix} has extremes of another shape")
    if not ((np.abs(values) <= LARGEST).all() and (np.abs(extremes) <= LARGEST).all()):
        raise ValueError(f"{prefix} has a value that nobody can have learned")
    ends = np.cumsum(sizes)
    found, sketches = {}, iter(extremes)
    for k, name in enumerate(names):
        part = slice(int(ends[k] - sizes[k]), int(ends[k]))
        if (values[part][1:] <= values[part][:-1]).any() or not counts[part].any(axis=1).all():
            raise ValueError(f"{prefix} of {name!r} is not in order")
        there = counts[part].any(axis=0)
        ours = np.where(there, next(sketches), [[np.inf], [-np.inf]]) if sketched[k] else None
        found[name] = ValueCounts(values[part], counts[part], ours)
    return found


def _counts(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.int64]:
    if array.dtype != np.int64 or array.shape != shape:
        raise ValueError(f"counts of {array.dtype} {array.shape} instead of int64 {shape}")
    counts = np.asarray(array, np.int64)
    if counts.size and not 0 <= counts.min() <= counts.max() < _LARGEST_COUNT:
        raise ValueError("a count is below 0 or above 2^53")
    return counts
