"""What is told of a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from model_api.projects.home import Home
from tally.models.base import Table
from tally.models.extra import extra
from tally.models.model import Model
from tally.projects.model_records import ModelVersion
from tally.wire.entities import DataFrame, ModelInfo
from tally.wire.envelope import MODEL_VERSIONS, Values, data_frame
from tally.wire.java_text import java_text

_NO_ERROR = '"No Error"'  # with its quotes, as clients know it


def model_info(home: Home, version: ModelVersion, model: Model) -> ModelInfo:
    """Return `modelInfo`."""
    names = home.project.summary.schema.names
    places = {name: place for place, name in enumerate(names)}
    info = {key: java_text(value) for key, value in model.info.items()}
    info |= {
        "buildStatus": _NO_ERROR,
        "buildTimeNanosec": str(version.build_ns),
        "modelVersion": str(version.version),
        "rows": java_text(model.rows),
        "learned": java_text(model.learned),
    }
    for place, source in enumerate(model.sources):
        info[f"source_{place}"] = f"{source.name} {source.version} {source.rows}"
    return ModelInfo(
        model_id=version.id,
        model_type=version.family,
        creation_date=version.created_ms,
        model_built=version.fits,
        build_time=round(version.build_ns / 1e6),
        attribute_names=[attribute.name for attribute in model.inputs],
        attribute_indexes=[attribute.index for attribute in model.inputs],
        attribute_types=[attribute.kind for attribute in model.inputs],
        predict_info=list(model.rule.shown),
        score_info=list(model.rule.scores),
        target_names=list(model.targets),
        target_indexes=[places[name] for name in model.targets if name in places],
        info=info,
        extra={name: _frame(table) for name, table in extra(model).items()},
    )


def _frame(table: Table) -> DataFrame:
    letters = ["S" if isinstance(column, tuple) else "C" for column in table.values()]
    columns = [
        column.tolist() if isinstance(column, np.ndarray) else column for column in table.values()
    ]
    found: Mapping[str, object] = data_frame(
        list(table), letters, zip(*columns, strict=True), "table"
    )
    frame = found["table"]
    assert isinstance(frame, DataFrame)
    return frame


def model_versions(home: Home, model: str) -> Values:
    """Return `modelVersions`: those of a model that are kept, oldest first."""
    head = home.models.head(model)
    told = [
        {
            "version": version.version,
            "modelType": version.family,
            "creationDate": version.created_ms,
            "buildTime": round(version.build_ns / 1e6),
            "rows": version.rows,
            "learned": version.learned,
            "generation": version.generation,
            "sizeBytes": version.size_bytes,
        }
        for version in home.models.versions(model)
    ]
    return {MODEL_VERSIONS: {"current": head.version, "previous": head.previous, "values": told}}
