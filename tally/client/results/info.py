"""What a project is, and how far a job has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tally.client.results.cells import CellsStatus
from tally.client.results.grid import Grid, Shown
from tally.wire import entities


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column of a project's statistics.

    Attributes:
        index: by which it may be asked for, too; it never changes.
        name: a value of a category is an attribute of its own, `region$north`.
        type: `C` continuous, `B` binary.
    """

    index: int
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class ProjectInfo(Shown):
    """A project without its numbers.

    Attributes:
        pid: its name.
        type: `cpu`, `sequence`, `partition`, `fusion`.
        attributes: in the order of their indexes.
        created, changed: moments in UTC; learn, forget and merge change it.
        persisted: it outlives a restart.
        autosave: each change is saved before it is acknowledged.
        histogram: it keeps the counts behind densities, minimum, maximum and median.
        frozen: it refuses changes.
        separator: between a category's name and a value.
        partition: the column whose values have statistics of their own; empty: there is none.
        params: what it was created with.
        models: the algorithm of each of its models, by the model's name.
    """

    pid: str
    type: str
    attributes: tuple[Attribute, ...]
    created: datetime
    changed: datetime
    persisted: bool
    autosave: bool
    histogram: bool
    frozen: bool
    separator: str
    partition: str
    params: Mapping[str, str] = field(repr=False)
    models: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, told: entities.ProjectInfo) -> ProjectInfo:
        """Return it as the server tells it."""
        attributes = zip(
            told.attribute_indexes, told.attribute_names, told.attribute_types, strict=True
        )
        return cls(
            told.pid,
            told.type,
            tuple(Attribute(*each) for each in attributes),
            _moment(told.creation_date),
            _moment(told.last_modification_date),
            told.persisted,
            told.auto_save,
            told.histogram_enabled,
            told.params.get("sml_project_is_freeze") == "true",
            told.category_separator,
            told.partition_column or "",
            told.params,
            dict(zip(told.models_list, told.model_type_list, strict=True)),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes' names."""
        return tuple(attribute.name for attribute in self.attributes)

    @property
    def cells(self) -> CellsStatus:
        """The cells of a fusion project, as its answers stand on them; else none."""
        return CellsStatus.told_in(self.params)

    @property
    def letters(self) -> dict[str, str]:
        """The types by name of the columns that were learned: `T` for a category's own name."""
        found = {attribute.name: attribute.type for attribute in self.attributes}
        bases = (name.partition(self.separator) for name in self.names)
        found |= {base: "T" for base, separator, _ in bases if separator}
        return found | ({self.partition: "S"} if self.partition else {})

    def _title(self) -> str:
        traits = [
            self.type,
            *(["histograms"] if self.histogram else []),
            *(["frozen"] if self.frozen else []),
            *([] if self.persisted else ["not persisted"]),
            *([f"models {', '.join(self.models)}"] if self.models else []),
            f"changed {self.changed:%Y-%m-%d %H:%M:%S}",
        ]
        return f"{self.pid}: {', '.join(traits)}"

    def _grid(self) -> Grid:
        rows = tuple((each.name, each.index, each.type) for each in self.attributes)
        return Grid(("attribute", "index", "type"), rows)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job has come.

    Attributes:
        id, kind: of the job.
        started: it does not wait for its turn any more.
        done: it has ended, well or not.
        current, maximum: work done, and in all.
        details: what it was started with.
    """

    id: int
    kind: str
    started: bool
    done: bool
    current: int
    maximum: int
    details: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, told: entities.JobInfo) -> JobStatus:
        """Return it as the server tells it."""
        return cls(
            told.job_id,
            told.job_type,
            told.is_started,
            told.is_done,
            told.current,
            told.maximum,
            told.details,
        )


@dataclass(frozen=True, slots=True)
class Changed:
    """What a learn or forget came to.

    Attributes:
        rows: that were sent, and are counted (those that a row filter keeps).
        requests: that it took.
        resume: of the whole change; harmless to send again.
    """

    rows: int
    requests: int
    resume: str = field(repr=False, default="")


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
