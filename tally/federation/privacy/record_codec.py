"""A local record as bytes, versioned; without the key of its patients, which is kept sealed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tally.codec.tensors import pack, unpack_any
from tally.errors import CorruptState
from tally.federation.privacy.minimum import Turnover
from tally.federation.privacy.patients import ID_BYTES, PatientLedger
from tally.federation.privacy.record import LocalRecord
from tally.federation.privacy.spread import Spread

FORMAT_VERSION = 2
"""A record without partitions is written as version 1, which older servers read, too."""

_PLAIN = 1
_KIND, _PARTITION = "privacy record", "partition/"
_LARGEST_COUNT = 2**53


class _Patients(msgspec.Struct, frozen=True):
    columns: tuple[str, ...]
    key_check: str


class _Record(msgspec.Struct, frozen=True):
    added: int
    removed: int
    attributes: tuple[str, ...]
    patients: _Patients | None = None
    partitions: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


def encode(record: LocalRecord) -> bytes:
    """Return a record as bytes; equal ones give equal bytes. They hold no id and no key.

    Example:
        >>> decode(encode(LocalRecord(Turnover(50, 3)))).turnover
        Turnover(added=50, removed=3)
    """
    spreads = [record.spreads[name] for name in record.spreads]
    empty = Spread.empty()
    arrays: dict[str, NDArray[Any]] = {
        "keys": np.concatenate([empty.keys, *(spread.keys for spread in spreads)]),
        "counts": np.concatenate([empty.counts, *(spread.counts for spread in spreads)]),
        "sizes": np.array([len(spread.keys) for spread in spreads], np.int64),
        "widths": np.array([spread.width for spread in spreads], np.float64),
    }
    patients = None
    if record.patients is not None:
        ledger = record.patients
        patients = _Patients(ledger.columns, ledger.key_check)
        arrays["ids"] = np.frombuffer(ledger.ids.tobytes(), np.uint8).reshape(-1, ID_BYTES)
        arrays["rows"] = ledger.rows
    for number, part in enumerate(record.partitions.values()):
        arrays[f"{_PARTITION}{number}"] = np.frombuffer(encode(part), np.uint8)
    turnover = record.turnover
    meta = _Record(
        turnover.added,
        turnover.removed,
        tuple(record.spreads),
        patients,
        tuple(record.partitions) or msgspec.UNSET,
    )
    version = FORMAT_VERSION if record.partitions else _PLAIN
    return pack(_KIND, version, arrays, msgspec.to_builtins(meta))


def decode(data: bytes, *, hipaa_key: bytes | None = None) -> LocalRecord:
    """Return the record in these bytes.

    Args:
        data: what `encode` gave.
        hipaa_key: under which its patients were added; None if it has none.

    Raises:
        CorruptState: they are cut, changed, of another version, or of patients under another key.
    """
    return _decode(data, hipaa_key, (_PLAIN, FORMAT_VERSION))


def _decode(data: bytes, hipaa_key: bytes | None, versions: tuple[int, ...]) -> LocalRecord:
    version, arrays, raw = unpack_any(_KIND, versions, data)
    try:
        meta = msgspec.convert(raw, _Record)
        spreads = _spreads(meta.attributes, arrays)
        patients = _ledger(meta.patients, arrays, hipaa_key)
        if not 0 <= meta.removed <= meta.added:
            raise ValueError(f"{meta.removed} rows removed of {meta.added}")
        partitions = {} if version == _PLAIN else _partitions(meta, arrays, hipaa_key)
    except (msgspec.ValidationError, KeyError, ValueError) as error:
        raise CorruptState(f"the stored privacy record cannot be read: {error}") from error
    return LocalRecord(Turnover(meta.added, meta.removed), patients, spreads, partitions)


def _partitions(
    meta: _Record, arrays: Mapping[str, NDArray[np.generic]], key: bytes | None
) -> dict[str, LocalRecord]:
    found, values = {}, meta.partitions or ()
    for number, value in enumerate(values):
        data = _array(arrays, f"{_PARTITION}{number}", np.uint8).tobytes()
        found[value] = _decode(data, key, (_PLAIN,))
    turnovers = [part.turnover for part in found.values()]
    added, removed = sum(one.added for one in turnovers), sum(one.removed for one in turnovers)
    if (added, removed) != (meta.added, meta.removed) or len(found) != len(values):
        raise ValueError(f"its {len(values)} partitions do not add up")
    return found


def _spreads(
    names: tuple[str, ...], arrays: Mapping[str, NDArray[np.generic]]
) -> dict[str, Spread]:
    keys = _array(arrays, "keys", np.float64)
    counts = _counts(arrays, "counts", positive=True)
    sizes = _counts(arrays, "sizes")
    widths = _array(arrays, "widths", np.float64)
    if len({len(names), len(set(names)), len(sizes), len(widths)}) != 1:
        raise ValueError("not one size and one width for each attribute")
    if {len(keys), len(counts)} != {int(sizes.sum())}:
        raise ValueError("other numbers of keys and counts than the sizes say")
    found = {}
    for name, end, size, width in zip(names, np.cumsum(sizes), sizes, widths, strict=True):
        part = slice(int(end - size), int(end))
        fine = width == 0 or (0 < width < math.inf and math.frexp(width)[0] == 0.5)
        if not fine or (np.diff(keys[part]) <= 0).any():
            raise ValueError(f"the counts of {name!r} are not in order")
        found[name] = Spread(keys[part], counts[part], float(width))
    return found


def _ledger(
    meta: _Patients | None, arrays: Mapping[str, NDArray[np.generic]], key: bytes | None
) -> PatientLedger | None:
    if (meta is None) != (key is None):
        raise ValueError("patients and the key of patients only come together")
    if meta is None or key is None:
        return None
    raw = _array(arrays, "ids", np.uint8)
    rows = _counts(arrays, "rows", positive=True)
    if raw.shape != (len(rows), ID_BYTES) or PatientLedger.empty(key).key_check != meta.key_check:
        raise ValueError("the patients are of another key, or not as many as they say")
    ids = np.frombuffer(raw.tobytes(), f"S{ID_BYTES}")
    if (ids[1:] <= ids[:-1]).any():
        raise ValueError("patients are not in order")
    return PatientLedger(key, meta.columns, ids, rows)


def _array(
    arrays: Mapping[str, NDArray[np.generic]], name: str, kind: type[np.generic]
) -> NDArray[Any]:
    found = arrays[name]
    if found.dtype != kind or (found.dtype == np.float64 and not np.isfinite(found).all()):
        raise ValueError(f"array {name!r} is not finite {np.dtype(kind)}")
    return found


def _counts(
    arrays: Mapping[str, NDArray[np.generic]], name: str, *, positive: bool = False
) -> NDArray[np.int64]:
    found = _array(arrays, name, np.int64)
    if found.ndim != 1 or (found < positive).any() or (found > _LARGEST_COUNT).any():
        raise ValueError(f"array {name!r} holds what is no count")
    return found
