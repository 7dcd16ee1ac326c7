"""What a model is, which versions of it there are, and what is known of its coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from tally.client.results.cells import CellsStatus
from tally.client.results.grid import Cell, Grid, Shown, cell_text
from tally.client.results.info import Attribute
from tally.wire import entities
from tally.wire.federation import PEERS

Table: TypeAlias = Mapping[str, tuple[Cell, ...]]
"""Columns of equal length by name."""

INTERCEPT = "intercept"
"""What the last row of a regression's coefficients is called."""

_COEFFICIENTS = ("coefficients", "model")  # the latter: a column for each number of components
_ATTRIBUTE = "attribute"
_HEADS = {
    "std.error": "std. error",
    "scores": "t",
    "p.values": "p",
    "ci.low": "low",
    "ci.high": "high",
}
_HIDDEN = frozenset({"rounding"})
# Where there are no coefficients, these say most.
_OTHER_TABLES = {"means": "mean of", "cxx_est": "covariance of"}
_QUALITY = {
    "rows": "rows",
    "r2": "R2",
    "distance": "distance",
    "condition_number": "condition number",
}


@dataclass(frozen=True, slots=True)
class Coefficients(Shown):
    """The coefficients of a model, and what is known of each.

    Attributes:
        names: of the inputs, and `intercept` as the last one of a regression.
        columns: `coefficient`, and by family `std.error`, `scores` (t), `p.values`, `ci.low` and
            `ci.high`, or a column for each class; as many numbers as names, NaN where there is
            none.

    Example:
        >>> found = Coefficients(("x", "intercept"), {"coefficient": (2.0, 1.0)})
        >>> found["x"], found.of("coefficient")
        ({'coefficient': 2.0}, {'x': 2.0, 'intercept': 1.0})
    """

    names: tuple[str, ...]
    columns: Mapping[str, tuple[float, ...]]

    def __getitem__(self, name: str) -> dict[str, float]:
        """Return what is known of one coefficient."""
        place = self.names.index(name)
        return {key: column[place] for key, column in self.columns.items()}

    def of(self, column: str) -> dict[str, float]:
        """Return one column, by the names."""
        return dict(zip(self.names, self.columns[column], strict=True))

    def _grid(self) -> Grid:
        shown = {key: column for key, column in self.columns.items() if key not in _HIDDEN}
        # A column named by a number is for so many components.
        heads = (_HEADS.get(key, f"q={key}" if key.isdigit() else key) for key in shown)
        return Grid(("attribute", *heads), tuple(zip(self.names, *shown.values(), strict=True)))


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A project that a model stands on, as it was when the model was built.

    Attributes:
        name: of a peer of a federation, `CID/PID`; of another, its uuid or its name.
        uuid: of the project; of one that learned the rows itself, its name.
        version: of its statistics.
        rows: that it had.
    """

    name: str
    uuid: str
    version: str
    rows: int

    @classmethod
    def of(cls, text: str, names: Mapping[str, str]) -> ModelSource:
        """Return it as the server writes it.

        Example:
            >>> ModelSource.of("a1f0 7-12 50", {"a1f0": "north/m1"})
            ModelSource(name='north/m1', uuid='a1f0', version='7-12', rows=50)
        """
        uuid, version, rows = text.split(" ")
        return cls(names.get(uuid, uuid), uuid, version, int(rows))


@dataclass(frozen=True, slots=True)
class ModelInfo(Shown):
    """A model of a project, without the statistics that it was made from.

    Attributes:
        id: its name.
        type: the algorithm, as `build` takes it.
        version: of the model; each build makes another.
        targets: what it predicts.
        inputs: what it predicts from, in its order.
        created: a moment in UTC.
        build_ms: how long the build took.
        fits: models that were fitted on the way to it.
        rows: behind its numbers.
        answers: the keys of its predictions.
        scores: those by which rows are ranked.
        dropped: inputs that play no part, and why.
        info: single values by name, as the server writes them.
        tables: by name.
    """

    id: str
    type: str
    version: int
    targets: tuple[str, ...]
    inputs: tuple[Attribute, ...]
    created: datetime
    build_ms: int
    fits: int
    rows: float
    answers: tuple[str, ...]
    scores: tuple[str, ...]
    dropped: Mapping[str, str]
    info: Mapping[str, str] = field(repr=False)
    tables: Mapping[str, Table] = field(repr=False)

    @classmethod
    def of(cls, told: entities.ModelInfo) -> ModelInfo:
        """Return it as the server tells it."""
        inputs = zip(
            told.attribute_indexes, told.attribute_names, told.attribute_types, strict=True
        )
        left = (text for key, text in told.info.items() if key.startswith("dropped_"))
        frames = {} if told.extra is msgspec.UNSET else told.extra
        return cls(
            told.model_id,
            told.model_type,
            int(told.info.get("modelVersion", "0")),
            tuple(told.target_names),
            tuple(Attribute(*each) for each in inputs),
            _moment(told.creation_date),
            told.build_time,
            told.model_built,
            float(told.info.get("rows", "nan")),
            tuple(told.predict_info),
            tuple(told.score_info),
            dict(text.split(": ", 1) for text in left if ": " in text),
            told.info,
            {name: _table(frame) for name, frame in frames.items()},
        )

    @property
    def coefficients(self) -> Coefficients | None:
        """What is known of its coefficients; None: its family has none."""
        for name in _COEFFICIENTS:
            table = dict(self.tables.get(name, {}))
            names = table.pop(_ATTRIBUTE, None)
            if names is not None:
                numbers = {key: tuple(map(_number, column)) for key, column in table.items()}
                return Coefficients(tuple(map(str, names)), numbers)
        return None

    @property
    def cells(self) -> CellsStatus:
        """The cells of the fusion project that it was built from, as they were then; else none."""
        return CellsStatus.told_in(self.info)

    @property
    def sources(self) -> tuple[ModelSource, ...]:
        """The projects whose rows it was built from, as they were then."""
        try:
            names = msgspec.json.decode(self.info.get(PEERS, "{}"), type=dict[str, str])
        except msgspec.MsgspecError:
            names = {}
        told = (text for key, text in self.info.items() if key.startswith("source_"))
        return tuple(ModelSource.of(text, names) for text in told if text.count(" ") == 2)

    def number(self, name: str) -> float:
        """Return one of the values of `info` as a number; NaN where there is none.

        Numbers that say how well a regression fits are `r2`, `rmse`, `sse` and `aic`.
        """
        try:
            return float(self.info.get(name, "nan"))
        except ValueError:
            return float("nan")

    def _title(self) -> str:
        aims = f" of {', '.join(self.targets)}" if self.targets else ""
        told = [f"{self.id}: {self.type}{aims}", f"version {self.version}"]
        told += [
            f"{head} {cell_text(self.number(key))}"
            for key, head in _QUALITY.items()
            if key in self.info
        ]
        if metric := self.info.get("selection_metric"):
            told.append(f"{metric} {cell_text(self.number('selection_score'))} of the rows sent")
        lines = [", ".join(told)]
        lines += [f"warning: {self.info['warning']}"] if "warning" in self.info else []
        lines += [f"left out: {name}: {reason}" for name, reason in self.dropped.items()]
        if PEERS in self.info:
            named = (f"{one.name} {one.rows} rows" for one in self.sources)
            lines.append(f"from {', '.join(named)}")
        return "\n".join(lines)

    def _grid(self) -> Grid:
        if (coefficients := self.coefficients) is not None:
            return coefficients._grid()
        for name, head in _OTHER_TABLES.items():
            if (table := self.tables.get(name)) is not None:
                _, *columns = table
                return Grid((head, *columns), tuple(zip(*table.values(), strict=True)))
        return Grid(("", "value"), tuple(self.info.items()))


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model that is kept.

    Attributes:
        version: its number, never given twice.
        type: the algorithm.
        created: a moment in UTC.
        build_ms: how long the build took.
        rows: behind its numbers.
        learned: rows of the project at that time.
        size_bytes: as stored.
    """

    version: int
    type: str
    created: datetime
    build_ms: int
    rows: float
    learned: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ModelVersions(Shown):
    """The versions of a model that are kept, oldest first.

    Attributes:
        current: the number of the one that is served.
        previous: of the one before it, to which `rollback` returns; 0: there is none.
        versions: all of them.
    """

    current: int
    previous: int
    versions: tuple[ModelVersion, ...]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> ModelVersions:
        """Return them as the server tells them."""
        return cls(
            told["current"],
            told["previous"],
            tuple(
                ModelVersion(
                    each["version"],
                    each["modelType"],
                    _moment(each["creationDate"]),
                    each["buildTime"],
                    each["rows"],
                    each["learned"],
                    each["sizeBytes"],
                )
                for each in told["values"]
            ),
        )

    def _grid(self) -> Grid:
        rows = tuple(
            (
                f"{each.version}{' *' if each.version == self.current else ''}",
                each.type,
                each.rows,
                f"{each.created:%Y-%m-%d %H:%M:%S}",
                each.size_bytes,
            )
            for each in self.versions
        )
        return Grid(("version", "algorithm", "rows", "created", "bytes"), rows)


def _table(frame: entities.DataFrame) -> Table:
    columns = zip(*frame.data, strict=True) if frame.data else ((),) * len(frame.attribute_names)
    kinds = zip(frame.attribute_names, frame.attribute_types, columns, strict=True)
    return {
        name: tuple(column) if kind == "S" else tuple(map(float, column))
        for name, kind, column in kinds
    }


def _number(cell: Cell) -> float:
    return float("nan") if cell is None else float(cell)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
