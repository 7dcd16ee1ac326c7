"""A project: what is kept of all its rows, and how frames and other projects change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tally.engine.counts import Histograms
from tally.engine.frame import Frame
from tally.engine.options import Options
from tally.engine.rows import Rows
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.errors import InvalidInput


def expand(frame: Frame, schema: Schema, options: Options) -> Rows:
    cols = [np.asarray(frame.columns[i], float) for i, t in enumerate(frame.types) if t in "CB"]
    names = tuple(n for n, t in zip(frame.names, frame.types) if t in "CB")
    types = "".join(t for t in frame.types if t in "CB")
    return Rows(names, types, (None,) * len(names), np.stack(cols, 1) if cols else np.zeros((frame.rows, 0)))


@dataclass(frozen=True, slots=True)
class Project:
    """An immutable snapshot of a project.

    Attributes:
        options: of its creation.
        summary: the statistics that are explored.
        row_count: rows that count in the summary.
        known_types: the letter of each column of frames so far.
        partitions: in a partition project, the statistics by value; `summary` is their sum.
        histograms: None unless values are counted.
    """

    options: Options
    summary: Summary
    row_count: int = 0
    known_types: Mapping[str, str] = field(default_factory=dict)
    partitions: Mapping[str, Summary] = field(default_factory=dict)
    histograms: Histograms | None = None

    @classmethod
    def empty(cls, options: Options) -> Project:
        """Return a project that has seen nothing."""
        histograms = Histograms.empty() if options.histogram else None
        return cls(options, Summary.empty(), histograms=histograms)

    @property
    def size_bytes(self) -> int:
        """Bytes that the arrays take."""
        return self.summary.size_bytes

    def draft(self) -> ProjectDraft:
        """Return a copy to change."""
        return ProjectDraft(self)


class ProjectDraft:
    """A project that is being changed. A call that raises leaves the draft as it was."""

    def __init__(self, base: Project) -> None:
        self._options = base.options
        self._summary = base.summary.draft()
        self._rows = base.row_count
        self._types = dict(base.known_types)
        self._histograms = None if base.histograms is None else base.histograms.draft()

    @property
    def known_types(self) -> Mapping[str, str]:
        """The letter of each column by now, for decoding the next frame."""
        return self._types

    def learn(self, frame: Frame) -> int:
        """Count a frame in; return how many of its rows the filter accepted."""
        rows = expand(frame, self._summary.schema, self._options)
        self._summary.add(rows)
        if self._histograms is not None:
            self._histograms.add(rows)
        self._rows += len(rows.values)
        self._remember(frame)
        return len(rows.values)

    def forget(self, frame: Frame) -> int:
        """Take a frame away that was learned; return how many of its rows the filter accepted.

        Raises:
            InvalidInput: a count would be below zero.
        """
        rows = expand(frame, self._summary.schema, self._options)
        if len(rows.values) > self._rows:
            raise InvalidInput(
                "rows", f"{len(rows.values)} would be forgotten, but {self._rows} were learned"
            )
        self._summary.subtract(rows)
        if self._histograms is not None:
            self._histograms.subtract(rows)
        self._rows -= len(rows.values)
        return len(rows.values)

    def merge(self, other: Project) -> None:
        """Add the statistics of another project."""
        self._summary.merge(other.summary)
        if self._histograms is not None:
            if other.histograms is not None:
                self._histograms.merge(other.histograms)
            else:
                self._histograms.mark_partial()
        self._rows += other.row_count
        self._types = {**other.known_types, **self._types}

    def set_histogram(self, enabled: bool) -> None:
        """Begin to count values, or drop the counts."""
        if enabled and self._histograms is None:
            self._histograms = Histograms.empty().draft()
        elif not enabled:
            self._histograms = None

    def done(self) -> Project:
        """Return the snapshot as changed."""
        return Project(
            self._options,
            self._summary.done(),
            self._rows,
            dict(self._types),
            histograms=None if self._histograms is None else self._histograms.done(),
        )

    def _remember(self, frame: Frame) -> None:
        for name, letter in zip(frame.names, frame.types, strict=True):
            if letter != "X":
                self._types.setdefault(name, letter)
