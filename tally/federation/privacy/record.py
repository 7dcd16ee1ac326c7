"""What a peer keeps beside its statistics, to judge later whether they may leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tally.engine.frame import NUMERIC, PATIENT, Frame
from tally.engine.intake import counted
from tally.engine.options import Options
from tally.engine.project_draft import MAX_PARTITIONS
from tally.errors import InvalidInput, TooLarge
from tally.federation.privacy.minimum import Turnover
from tally.federation.privacy.patients import PatientLedger
from tally.federation.privacy.spread import Spread


@dataclass(frozen=True, slots=True, eq=False)
class LocalRecord:
    """Rows counted in and out, patients, and the distribution of each number; never shared.

    Immutable: whoever learns makes the next record, and keeps it with the next statistics or
    drops it with them. A call that raises has changed nothing.

    Attributes:
        turnover: rows learned and forgotten so far.
        patients: None without HIPAA rules.
        spreads: by plain attribute; only with HIPAA rules.
        partitions: the same of the rows of each partition, if the project has those.

    Example:
        >>> import numpy as np
        >>> frame = Frame(("mrn", "x"), "PC", (("17", "4"), np.array([1.5, 2.5])), 2)
        >>> record = LocalRecord.empty(hipaa_key=bytes(32)).learned(frame, Options())
        >>> record.turnover.rows, len(record.patients), record.spreads["x"].rows
        (2, 2, 2)
    """

    turnover: Turnover = field(default_factory=Turnover)
    patients: PatientLedger | None = None
    spreads: Mapping[str, Spread] = field(default_factory=dict)
    partitions: Mapping[str, LocalRecord] = field(default_factory=dict)

    @classmethod
    def empty(cls, *, hipaa_key: bytes | None) -> LocalRecord:
        """Return the record of no rows.

        Args:
            hipaa_key: random bytes of this peer alone; None without HIPAA rules.
        """
        return cls(patients=None if hipaa_key is None else PatientLedger.empty(hipaa_key))

    def learned(self, frame: Frame, options: Options) -> LocalRecord:
        """Return the record after these rows were learned.

        Args:
            frame: as it was sent.
            options: of the project, whose filter is applied.

        Raises:
            PatientMissing: HIPAA rules hold, and no column has type P.
            InvalidInput: a row has no patient id, or its columns are others than before; the
                partition column is missing, or has ids of patients.
            TooLarge: there would be too many partitions.
        """
        return self._each(frame, options, LocalRecord._learned)

    def forgot(self, frame: Frame, options: Options) -> LocalRecord:
        """Return the record after these rows were forgotten.

        Raises:
            PatientMissing: HIPAA rules hold, and no column has type P.
            InvalidInput: rows would be forgotten that were never learned.
            TooLarge: there would be too many partitions.
        """
        return self._each(frame, options, LocalRecord._forgot)

    def _each(
        self, frame: Frame, options: Options, step: Callable[[LocalRecord, Frame], LocalRecord]
    ) -> LocalRecord:
        """Take a step with all rows that count, and with those of each partition."""
        column = options.partition
        for name, letter in zip(frame.names, frame.types, strict=True):
            if name == column and letter == PATIENT:
                raise InvalidInput(name, "ids of patients cannot be the names of partitions")
        frame, parts = counted(frame, options)
        count = len({*self.partitions, *parts})
        if count > MAX_PARTITIONS:  # before each has a record
            raise TooLarge(str(column), f"{count} values; at most {MAX_PARTITIONS} partitions")
        now = step(self, frame)
        if self.patients is None:  # then nobody looks into the rows
            frame = Frame((), "", (), frame.rows)
        key = None if self.patients is None else self.patients.key
        none = LocalRecord.empty(hipaa_key=key)
        partitions = {
            value: step(self.partitions.get(value, none), frame.chosen(rows))
            for value, rows in parts.items()
        }
        return replace(now, partitions={**self.partitions, **partitions})

    def _learned(self, frame: Frame) -> LocalRecord:
        now = replace(self, turnover=self.turnover.learned(frame.rows))
        if self.patients is None:
            return now
        spreads = dict(self.spreads)
        for name, spread in _spreads(frame).items():
            spreads[name] = spreads.get(name, Spread.empty()).add(spread)
        return replace(now, patients=self.patients.add(frame), spreads=spreads)

    def _forgot(self, frame: Frame) -> LocalRecord:
        if frame.rows > self.turnover.rows:
            raise InvalidInput(
                "data",
                f"{frame.rows} rows would be forgotten, but {self.turnover.rows} were learned",
            )
        now = replace(self, turnover=self.turnover.forgot(frame.rows))
        if self.patients is None:
            return now
        spreads = dict(self.spreads)
        for name, spread in _spreads(frame).items():
            left = spreads.get(name, Spread.empty()).less(spread)
            if (left.counts < 0).any():
                raise InvalidInput(name, "values would be forgotten that were never learned")
            spreads[name] = left
        return replace(now, patients=self.patients.subtract(frame), spreads=spreads)


def _spreads(frame: Frame) -> dict[str, Spread]:
    return {
        name: Spread.of(frame.numbers(k))
        for k, (name, kind) in enumerate(zip(frame.names, frame.types, strict=True))
        if kind in NUMERIC
    }
