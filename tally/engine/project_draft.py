"""A project that is being changed: frames learned and forgotten, projects merged in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from tally.engine.arrange import arranged
from tally.engine.compatibility import check_mergeable, merged_types
from tally.engine.counts import Histograms, HistogramsDraft
from tally.engine.draft import Draft
from tally.engine.frame import IGNORED, Frame
from tally.engine.intake import Intake
from tally.engine.project import Project
from tally.engine.rows import Rows
from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.engine.window import WindowDraft
from tally.errors import InvalidInput, TooLarge

MAX_PARTITIONS = 1024
"""Each has statistics of its own."""

MAX_PARTITION_CELLS = 1 << 25
"""Squares of their numbers of attributes, of all partitions: half a gigabyte of sums."""


class ProjectDraft:
    """A project to change; not for several threads. A call that raises leaves it as it was."""

    _summary: Draft
    _rows: int
    _types: dict[str, str]
    _partitions: dict[str, Draft]
    _window: WindowDraft | None
    _histograms: HistogramsDraft | None

    def __init__(self, base: Project) -> None:
        self._options = base.options
        self._restore(base)

    @property
    def known_types(self) -> Mapping[str, str]:
        """The letter of each column by now: what decoding the next frame needs."""
        return self._types

    def learn(self, frame: Frame) -> int:
        """Count a frame in.

        Returns:
            How many of its rows count: those that the filter accepts and that have a partition.

        Raises:
            InvalidInput: a value cannot be summed, or a name is known as something else.
            TooLarge: there would be too many attributes, partitions or numbers in the window.
        """
        intake = Intake.of(frame, self._schema, self._options)
        for rows in intake.blocks:
            self._check_partitions(dict.fromkeys(intake.parts, rows.names))
        if len(intake.blocks) == 1 and self._window is None and not intake.parts:
            self._add(intake)  # one step, which leaves no trace by itself
        else:
            with self._undone_by_errors():
                self._add(intake)
        for name, letter in zip(frame.names, frame.types, strict=True):
            if letter != IGNORED:
                self._types.setdefault(name, letter)
        return intake.count

    def forget(self, frame: Frame) -> int:
        """Take a frame away that was learned, and say how many of its rows counted.

        Raises:
            InvalidInput: a count would be below zero, or the project has only a window.
        """
        self._refuse_window("forget")
        intake = Intake.of(frame, self._schema, self._options)
        self._refuse_more(intake.count)
        with self._undone_by_errors():
            for rows in intake.blocks:
                self._summary.subtract(rows)
                if self._histograms is not None:
                    self._histograms.subtract(rows)
            for value, rows in intake.partitions():
                self._partition(value).subtract(rows)
            self._rows -= intake.count
        return intake.count

    def merge(self, other: Project) -> None:
        """Count everything in that another project learned; attributes meet by name.

        Raises:
            InvalidInput: the other is of another kind, or the same name means something else
                there; this one has only a window.
            TooLarge: there would be too many attributes or partitions.
        """
        self._refuse_window("merge")
        check_mergeable(self._options, other.options)
        types = merged_types(self._types, other.known_types)
        self._check_partitions(
            {value: part.schema.names for value, part in other.partitions.items()}
        )
        with self._undone_by_errors():
            self._summary.merge(other.summary)
            for value, summary in other.partitions.items():
                self._partition(value).merge(summary)
            # What is continuous now is so everywhere, or the next frame would be refused there.
            for part in self._partitions.values():
                part.widen(self._summary.schema)
            if self._window is not None:
                self._window.widen(self._summary.schema)
            if self._histograms is not None and other.histograms is not None:
                self._histograms.merge(other.histograms)
            elif self._histograms is not None and other.row_count:
                self._histograms.mark_partial()
            self._rows += other.row_count
            self._types = types

    def take_away(self, other: Project) -> None:
        """Take everything away that another project learned; attributes meet by name.

        Raises:
            InvalidInput: a count would be below zero.
        """
        self._refuse_more(other.row_count)
        with self._undone_by_errors():
            self._summary.merge(other.summary, -1)
            if self._histograms is not None and other.histograms is not None:
                self._histograms.take_away(other.histograms)
            self._rows -= other.row_count

    def count_under(self, schema: Schema, blocks: Sequence[Rows], count: int) -> None:
        """Count rows in, for whom another project's attributes are known, which have all of theirs.

        Args:
            schema: those attributes.
            blocks: the rows.
            count: of the frame's rows that they are.
        """
        self._summary = arranged(self._summary.done(), schema).draft()
        for rows in blocks:
            self._summary.add(rows)
            if self._histograms is not None:
                self._histograms.add(rows)
        self._rows += count

    def set_histogram(self, enabled: bool) -> None:
        """Begin to count values, or drop the counts.

        Counting begins with the rows that come; in a project that has only a window, with the
        rows in it.
        """
        if not enabled:
            self._histograms = None
        elif self._histograms is None:
            self._histograms = Histograms.empty().draft()
            if self._window is not None and self._options.windowed:
                self._count_again(self._window)

    def done(self) -> Project:
        """Return the project as changed."""
        window = None if self._window is None else self._window.done()
        histograms = None if self._histograms is None else self._histograms.done()
        project = Project(
            self._options,
            self._summary.done(),
            self._rows,
            dict(self._types),
            {value: draft.done() for value, draft in self._partitions.items()},
            window,
            histograms,
        )
        if window is not None and self._options.windowed:
            return replace(project, summary=window.summary, row_count=len(window.buffer))
        return project

    @property
    def _schema(self) -> Schema:
        if self._window is not None and self._options.windowed:
            return self._window.schema
        return self._summary.schema

    def _add(self, intake: Intake) -> None:
        for rows in intake.blocks:
            gone = None if self._window is None else self._window.add(rows)
            if self._window is not None and self._options.windowed:
                self._count_in_window(self._window, rows, gone)
                continue
            self._summary.add(rows)
            if self._histograms is not None:
                self._histograms.add(rows)
        for value, rows in intake.partitions():
            self._partition(value).add(rows)
        self._rows += intake.count

    def _count_in_window(
        self, window: WindowDraft, rows: Rows, gone: Sequence[Rows] | None
    ) -> None:
        if self._histograms is None:
            return
        if gone is None:
            self._count_again(window)
            return
        self._histograms.add(rows)
        for part in gone:
            self._histograms.subtract(part)

    def _count_again(self, window: WindowDraft) -> None:
        self._histograms = Histograms.empty().draft()
        for rows in window.buffer.parts:
            self._histograms.add(rows)

    def _partition(self, value: str) -> Draft:
        if value not in self._partitions:
            self._partitions[value] = Summary.empty().draft()
        return self._partitions[value]

    def _check_partitions(self, values: Mapping[str, Sequence[str]]) -> None:
        """Refuse more partitions, each with these attributes, than there may be."""
        if not values:
            return
        column, count = str(self._options.partition), len({*self._partitions, *values})
        if count > MAX_PARTITIONS:
            raise TooLarge(column, f"{count} values; at most {MAX_PARTITIONS} partitions")
        widths = {value: len(part.schema) for value, part in self._partitions.items()}
        for value, names in values.items():
            known = self._partitions[value].schema.index if value in self._partitions else {}
            widths[value] = widths.get(value, 0) + sum(name not in known for name in names)
        if sum(width * width for width in widths.values()) > MAX_PARTITION_CELLS:
            widest = max(widths.values())
            raise TooLarge(
                column, f"{count} partitions of up to {widest} attributes are too many numbers"
            )

    def _refuse_window(self, what: str) -> None:
        if self._options.windowed:
            raise InvalidInput(
                what, "the project has a rolling window: rows leave it by themselves"
            )

    def _refuse_more(self, count: int) -> None:
        if count > self._rows:
            raise InvalidInput(
                "data", f"{count} rows would be forgotten, but {self._rows} were learned"
            )

    @contextmanager
    def _undone_by_errors(self) -> Iterator[None]:
        """Bring everything back to where it is now if what follows fails."""
        before = self.done()
        try:
            yield
        except BaseException:
            self._restore(before)
            raise

    def _restore(self, project: Project) -> None:
        self._summary = project.summary.draft()
        self._rows = project.row_count
        self._types = dict(project.known_types)
        self._partitions = {value: part.draft() for value, part in project.partitions.items()}
        self._window = None if project.window is None else project.window.draft()
        self._histograms = None if project.histograms is None else project.histograms.draft()
