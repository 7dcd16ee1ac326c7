"""A part of a project: some of its rows, while other parts have the others.

Rows that one part learned may be forgotten by another, so a part cannot tell whether there were
such rows. It counts what it learned and what it was told to forget apart, each as a project of
its own, in which no count is below zero and no origin is chosen by rows that are gone. Only the
sum of all parts takes the one from the other, and is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tally.engine.arrange import arranged
from tally.engine.compatibility import merged_types
from tally.engine.frame import Frame
from tally.engine.intake import Intake
from tally.engine.project import Project
from tally.engine.project_draft import ProjectDraft
from tally.engine.refusals import known
from tally.engine.schema import Schema


@dataclass(frozen=True, slots=True)
class Known:
    """What all parts of a project have to know alike.

    Attributes:
        schema: the attributes of the project in their order; their groups say nothing.
        types: the letter of each column.
    """

    schema: Schema = field(default_factory=Schema)
    types: Mapping[str, str] = field(default_factory=dict)

    def lacks(self, part: Project) -> bool:
        """Tell whether a part has attributes or columns that are not known."""
        theirs, ours = part.summary.schema, self.schema
        places = slice(len(theirs))
        return (theirs.names, theirs.types) != (
            ours.names[places],
            ours.types[places],
        ) or not part.known_types.items() <= self.types.items()

    def with_(self, part: Project) -> Known:
        """Return what is known once a part's attributes and columns are.

        Raises:
            InvalidInput: one of them is known as something else.
            TooLarge: there would be too many attributes.
        """
        ours = part.summary.schema
        schema, _ = self.schema.union(ours.names, ours.types, ours.bases)
        return Known(schema, merged_types(self.types, part.known_types))

    def told_to(self, part: Project) -> Project:
        """Return a part that knows this too, and refuses what contradicts it.

        Its attributes are those of the project then, in the same order; no sum changes.

        Raises:
            InvalidInput: it knows something else.
        """
        assert part.forgotten is not None
        return replace(
            part,
            summary=arranged(part.summary, self.schema),
            known_types=merged_types(self.types, part.known_types),
        )


class PartDraft(ProjectDraft):
    """A part to change; not for several threads. A call that raises leaves it as it was.

    Example:
        >>> import numpy as np
        >>> from tally.engine.options import Options
        >>> draft = Project.part(Options()).draft()
        >>> draft.learn(Frame(("x",), "C", (np.array([1.5, 2.5]),), 2))
        2
        >>> draft.forget(Frame(("x",), "C", (np.array([7.0, 8.0, 9.0]),), 3))
        3
        >>> part = draft.done()
        >>> part.row_count, part.forgotten.row_count
        (2, 3)
    """

    _forgotten: ProjectDraft

    def forget(self, frame: Frame) -> int:
        """Count a frame among the rows that are forgotten, and say how many of its rows counted.

        Raises:
            InvalidInput: no part has learned an attribute that it has values of.
        """
        intake = Intake.of(frame, self._schema, self._options)
        blocks = [known(rows, self._schema) for rows in intake.blocks]
        with self._undone_by_errors():
            self._forgotten.count_under(self._schema, blocks, intake.count)
        return intake.count

    def set_histogram(self, enabled: bool) -> None:
        """Begin to count values, or drop the counts, on both sides."""
        super().set_histogram(enabled)
        self._forgotten.set_histogram(enabled)

    def done(self) -> Project:
        """Return the part as changed."""
        return replace(super().done(), forgotten=self._forgotten.done())

    def _restore(self, project: Project) -> None:
        super()._restore(project)
        assert project.forgotten is not None
        self._forgotten = project.forgotten.draft()


def whole(learned: Project, forgotten: Sequence[Project]) -> Project:
    """Return the sum of all parts of a project.

    Args:
        learned: the sum of what each learned.
        forgotten: what each was told to forget.

    Raises:
        InvalidInput: more rows would be forgotten than were learned; it names the attribute.
    """
    gone = [one for one in forgotten if one.row_count]
    if not gone:
        return learned
    draft = gone[0].draft()
    for one in gone[1:]:
        draft.merge(one)
    kept = learned.draft()
    kept.take_away(draft.done())
    return kept.done()
