"""A project: everything that is kept of the frames that it learned. An immutable snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tally.engine.counts import Histograms
from tally.engine.options import Options
from tally.engine.predicates import parse
from tally.engine.summary import Summary
from tally.engine.window import Window

if TYPE_CHECKING:
    from tally.engine.project_draft import ProjectDraft


@dataclass(frozen=True, slots=True)
class Project:
    """A project between two changes.

    Attributes:
        options: of its creation.
        summary: the statistics that are explored; those of the window if it has only that, the
            sum of its partitions if it has those.
        row_count: rows that count in the summary.
        known_types: the letter of each column of its frames, but for ignored ones.
        partitions: the statistics by value of the partition column.
        window: the last rows; None unless the options ask for one.
        histograms: counted values; None unless they are counted.
        forgotten: of a part of a project, what it was told to forget, which is still counted in
            all else; None: this is a whole one.

    Example:
        >>> import numpy as np
        >>> from tally.engine.frame import Frame
        >>> draft = Project.empty(Options()).draft()
        >>> draft.learn(Frame(("x", "color"), "CT", (np.array([1.5, 2.5]), ("Red", "blue")), 2))
        2
        >>> project = draft.done()
        >>> project.summary.schema.names, dict(project.known_types)
        (('x', 'color$red', 'color$blue'), {'x': 'C', 'color': 'T'})
    """

    options: Options
    summary: Summary
    row_count: int = 0
    known_types: Mapping[str, str] = field(default_factory=dict)
    partitions: Mapping[str, Summary] = field(default_factory=dict)
    window: Window | None = None
    histograms: Histograms | None = None
    forgotten: Project | None = None

    @classmethod
    def empty(cls, options: Options) -> Project:
        """Return a project that has learned nothing.

        Raises:
            InvalidInput: the row filter cannot be read.
        """
        parse(options.row_filter)
        window = None if options.window is None else Window.empty(options.window)
        summary = window.summary if window is not None and options.windowed else Summary.empty()
        histograms = Histograms.empty() if options.histogram else None
        return cls(options, summary, window=window, histograms=histograms)

    @classmethod
    def part(cls, options: Options) -> Project:
        """Return a part of a project that has learned nothing; see `tally.engine.part`.

        Raises:
            InvalidInput: the row filter cannot be read.
        """
        return replace(cls.empty(options), forgotten=cls.empty(options))

    @property
    def size_bytes(self) -> int:
        """The memory that it takes."""
        size = sum(summary.size_bytes for summary in self.partitions.values())
        if self.window is None or not self.options.windowed:
            size += self.summary.size_bytes
        if self.window is not None:
            size += self.window.size_bytes
        if self.forgotten is not None:
            size += self.forgotten.size_bytes
        return size + (0 if self.histograms is None else self.histograms.size_bytes)

    def draft(self) -> ProjectDraft:
        """Return a draft that begins as this."""
        from tally.engine.part import PartDraft
        from tally.engine.project_draft import ProjectDraft

        return ProjectDraft(self) if self.forgotten is None else PartDraft(self)
