"""What a peer keeps beside its statistics, to judge later whether they may leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tally.engine.filter import accepted
from tally.engine.frame import NUMERIC, Frame
from tally.engine.options import Options
from tally.engine.predicates import parse
from tally.errors import InvalidInput
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
            InvalidInput: a row has no patient id, or its columns are others than before.
        """
        frame = _counted(frame, options)
        now = replace(self, turnover=self.turnover.learned(frame.rows))
        if self.patients is None:
            return now
        spreads = dict(self.spreads)
        for name, spread in _spreads(frame).items():
            spreads[name] = spreads.get(name, Spread.empty()).add(spread)
        return replace(now, patients=self.patients.add(frame), spreads=spreads)

    def forgot(self, frame: Frame, options: Options) -> LocalRecord:
        """Return the record after these rows were forgotten.

        Raises:
            PatientMissing: HIPAA rules hold, and no column has type P.
            InvalidInput: rows would be forgotten that were never learned.
        """
        frame = _counted(frame, options)
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


def _counted(frame: Frame, options: Options) -> Frame:
    return frame.take(accepted(frame, parse(options.row_filter)))


def _spreads(frame: Frame) -> dict[str, Spread]:
    return {
        name: Spread.of(frame.numbers(k))
        for k, (name, kind) in enumerate(zip(frame.names, frame.types, strict=True))
        if kind in NUMERIC
    }
