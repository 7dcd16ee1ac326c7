"""Whose rows are in a project: patients by keyed hashes, never by their ids."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tally.engine.frame import PATIENT, Frame
from tally.engine.prescribed import Prescribed
from tally.errors import InvalidInput, TooLarge

FEWEST_PATIENTS = 25
"""Whose rows must be in a snapshot that leaves."""

MAX_PATIENTS = 10_000_000
"""They take 24 bytes each."""

KEY_BYTES = 32
ID_BYTES = 16
_CHECK = b"tally: is this the key of these patients?"


class PatientMissing(Prescribed):
    """Rows of nobody, where it must be known whose they are."""

    def __init__(self) -> None:
        super().__init__(
            "attributeTypes", "HIPAA compliant project requires at least one attribute of type P"
        )


@dataclass(frozen=True, slots=True, eq=False)
class PatientLedger:
    """How many rows each patient has; immutable.

    Several columns of type P are one composite id, whatever their order in a frame. An id is kept
    as HMAC-SHA256 under a key that never leaves the peer, truncated to 128 bits: without the key
    no list of candidates can be tried, and two peers' hashes of a patient have nothing in common.

    Attributes:
        key: `KEY_BYTES` random bytes.
        columns: of type P, ascending; empty before the first rows.
        ids: (k,) ascending, 16 bytes each.
        rows: (k,) of each patient, all positive.

    Example:
        >>> frame = Frame(("mrn",), "P", (("17", "4", "17"),), 3)
        >>> ledger = PatientLedger.empty(bytes(32)).add(frame)
        >>> len(ledger), ledger.rows.tolist(), len(ledger.subtract(frame))
        (2, [2, 1], 0)
    """

    key: bytes = field(repr=False)
    columns: tuple[str, ...]
    ids: NDArray[np.bytes_] = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)

    @classmethod
    def empty(cls, key: bytes) -> PatientLedger:
        """Return the ledger of no patients under this key.

        Raises:
            ValueError: the key has another length.
        """
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes; {KEY_BYTES} are needed")
        return cls(key, (), np.zeros(0, f"S{ID_BYTES}"), np.zeros(0, np.int64))

    def __len__(self) -> int:
        """How many different patients have rows."""
        return len(self.ids)

    @property
    def key_check(self) -> str:
        """A value by which a wrong key is noticed, and that tells nothing of the right one."""
        return hmac.digest(self.key, _CHECK, hashlib.sha256)[:ID_BYTES].hex()

    def add(self, frame: Frame) -> PatientLedger:
        """Return the ledger with the patients of these rows, which the row filter accepts.

        Raises:
            PatientMissing: no column has type P.
            InvalidInput: a row has no id, or ids are in other columns than before.
            TooLarge: there would be more than `MAX_PATIENTS`.
        """
        columns, ids, rows = self._read(frame)
        every, place = np.unique(np.concatenate([self.ids, ids]), return_inverse=True)
        if len(every) > MAX_PATIENTS:
            raise TooLarge(columns[0], f"{len(every)} patients; at most {MAX_PATIENTS} are kept")
        total = np.zeros(len(every), np.int64)
        np.add.at(total, place, np.concatenate([self.rows, rows]))
        return replace(self, columns=columns, ids=every, rows=total)

    def subtract(self, frame: Frame) -> PatientLedger:
        """Return the ledger without these rows.

        Raises:
            PatientMissing: no column has type P.
            InvalidInput: a row has no id, ids are in other columns than before, or a patient has
                fewer rows than would be forgotten.
        """
        columns, ids, rows = self._read(frame)
        if not np.isin(ids, self.ids).all():
            raise InvalidInput(columns[0], "rows of a patient would be forgotten who has none")
        left = self.rows.copy()
        left[np.searchsorted(self.ids, ids)] -= rows
        if (left < 0).any():
            raise InvalidInput(columns[0], "more rows of a patient would be forgotten than it has")
        there = left > 0
        return replace(self, ids=self.ids[there], rows=left[there])

    def _read(self, frame: Frame) -> tuple[tuple[str, ...], NDArray[np.bytes_], NDArray[np.int64]]:
        columns = patient_columns(frame)
        if self.columns and columns != self.columns:
            raise InvalidInput(
                columns[0], f"patients are told by {list(self.columns)} here, not {list(columns)}"
            )
        cells = [_cells(frame, name) for name in columns]
        # Truncated to the same length all of them, so that comparing as texts is exact.
        digests = [
            hmac.digest(self.key, _composite(parts), hashlib.sha256)[:ID_BYTES]
            for parts in zip(*cells, strict=True)
        ]
        found = np.frombuffer(b"".join(digests), f"S{ID_BYTES}")
        ids, rows = np.unique(found, return_counts=True)
        return columns, ids, rows.astype(np.int64)


def patient_columns(frame: Frame) -> tuple[str, ...]:
    """Return the columns of type P, ascending.

    Raises:
        PatientMissing: there are none.
    """
    columns = [n for n, kind in zip(frame.names, frame.types, strict=True) if kind == PATIENT]
    if not columns:
        raise PatientMissing
    return tuple(sorted(columns))


def _cells(frame: Frame, name: str) -> list[str]:
    cells = [(cell or "").strip() for cell in frame.texts(frame.names.index(name))]
    if "" in cells:
        raise InvalidInput(name, f"row {cells.index('')} has no patient id")
    return cells


def _composite(parts: Sequence[str]) -> bytes:
    # With lengths, or ("1", "23") and ("12", "3") would be one patient.
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
