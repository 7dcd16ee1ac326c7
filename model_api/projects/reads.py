"""Questions about a project's statistics: JSON in, the engine's answer, `values` out.

Each function computes from one immutable snapshot, beside the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
import numpy as np

from model_api.projects.calls import Call
from model_api.projects.home import Home
from model_api.projects.info import project_info
from tally.codec.frame import decode as decode_frame
from tally.codec.frame.limits import Limits
from tally.codec.project import decode as decode_project
from tally.engine import explore
from tally.engine.explore import Context
from tally.engine.explore.addressing import attribute, several
from tally.engine.explore.pca import wanted
from tally.engine.project import Project
from tally.engine.schema import Schema
from tally.errors import InvalidInput
from tally.wire import entities, texts
from tally.wire.contexts import MLContext, Selection, parse_explore_context, parse_ml_context
from tally.wire.envelope import (
    PCA_SUM,
    PCA_VALUES,
    PCA_VECTORS,
    Values,
    data_frame,
    density_list,
    ksvd_map,
    ksvs_map,
    sml_info,
)
from tally.wire.java_text import java_text
from tally.wire.projects import split_drift_body
from tally.wire.status import Refused

Question = Callable[[Home, Call, Limits], Values]


def transformed(home: Home, call: Call, limits: Limits) -> Values:
    """Return a frame as the project would see it, which here is as it came."""
    try:
        frame = decode_frame(
            call.body,
            media_type=call.media_type,
            content_encoding=call.content_encoding,
            query=call.query,
            known=home.project.known_types,
            limits=limits,
        )
    except InvalidInput as error:
        raise Refused(texts.bad_frame(str(error))) from error
    columns = [_cells(column) for column in frame.columns]
    return data_frame(frame.names, frame.types, zip(*columns, strict=True))


def _cells(column: object) -> list[float | str | None]:
    if isinstance(column, np.ndarray):
        return [None if np.isnan(x) else float(x) for x in column]
    assert isinstance(column, list | tuple)
    return list(column)


def context_of(asked: MLContext) -> Context:
    """Return a question as the engine asks it."""
    inputs, targets = asked.inputs(), asked.aims()
    return Context(
        inputs.tokens,
        targets.tokens,
        asked.parameters(),
        inputs_are_names=inputs.by_name,
        targets_are_names=targets.by_name,
    )


def _explore(home: Home, call: Call, limits: Limits) -> Values:
    metric = call.query.get("metric", "")
    if not metric:
        raise Refused(texts.missing_parameter("metric"))
    with _named(home):
        values = explored(home.project, metric, call.body)
    told = call.flag("returnProjectInfo", default=True)
    return {**values, **(sml_info(project_info(home)) if told else {})}


def explored(project: Project, metric: str, body: bytes) -> Values:
    """Return `KSVDMap`: what an exploration tells of statistics, all contexts of one state.

    Raises:
        InvalidInput: the metric or a context cannot be used.
        HistogramDisabled: the statistics count no values.
    """
    contexts = [context_of(asked) for asked in parse_explore_context(body)]
    return ksvd_map(explore.explore(project, metric, one) for one in contexts)


def _densities(
    one: Callable[[explore.Source, Context], explore.Density], home: Home, call: Call
) -> Values:
    contexts = [context_of(asked) for asked in parse_explore_context(call.body)]
    local = call.flag("useLocal", default=False)
    project = home.local if local else home.project  # all contexts are answered from one state
    with _named(home):
        return density_list(_entity(one(project, context)) for context in contexts)


def _density(home: Home, call: Call, limits: Limits) -> Values:
    return _densities(explore.density, home, call)


def _conditional_density(home: Home, call: Call, limits: Limits) -> Values:
    return _densities(explore.conditional_density, home, call)


def _entity(found: explore.Density) -> entities.Density:
    return entities.Density(
        attr_name=found.name,
        min=found.minimum,
        max=found.maximum,
        width=found.width,
        histogram=list(found.histogram),
        error=found.error or msgspec.UNSET,
    )


def _drift(home: Home, call: Call, limits: Limits) -> Values:
    text, data = split_drift_body(call.body)
    asked = parse_ml_context(text)
    metric = asked.parameter("driftMetric")
    if not metric:
        raise Refused(texts.missing_parameter("driftMetric"))
    project = home.project  # window and statistics are those of one state
    if data:
        analysis = decode_project(data).summary
    elif (window := project.window) is not None and project.options.embedded:
        analysis = window.summary
    else:
        raise Refused(f"Project [{home.head.pid}] has no embedded rolling window")
    names = _names(project.summary.schema, asked)
    return ksvd_map([explore.drift(project.summary, analysis, metric, names)])


def _names(schema: Schema, asked: MLContext) -> list[str]:
    """Return the attributes that a drift is asked of, by name; none stand for all."""
    inputs = asked.inputs()
    listed = asked.parameter("inputAttributeNames")
    if not inputs and listed:  # one table of the documents has them there
        inputs = Selection(tuple(name.strip() for name in listed.split(",")), by_name=True)
    return [schema.names[attribute(schema, token, named=inputs.by_name)] for token in inputs.tokens]


@contextmanager
def _named(home: Home) -> Iterator[None]:
    """Complete a refusal whose text has the project's name in it."""
    try:
        yield
    except explore.HistogramDisabled as error:
        raise Refused(texts.no_histogram(home.head.pid)) from error


def _first(call: Call) -> Context:
    return context_of(parse_explore_context(call.body)[0])


def _vif(home: Home, call: Call, limits: Limits) -> Values:
    return ksvs_map([explore.variance_inflation(home.project, _first(call))])


def _pca(home: Home, call: Call, limits: Limits) -> Values:
    found = explore.principal_components(home.project, _first(call), _share(call))
    count = len(found.values)
    names = [f"e{k + 1}" for k in range(count)]
    letters = ["C"] * len(found.names)
    return {
        **data_frame(found.names, letters, found.vectors.tolist(), PCA_VECTORS),
        **data_frame(names, ["C"] * count, [found.values.tolist()], PCA_VALUES),
        PCA_SUM: found.total,
    }


def _share(call: Call) -> float:
    text = call.query.get("explainedCovariance", "")
    try:
        return float(text) if text else 1.0
    except ValueError:
        raise InvalidInput("explainedCovariance", f"{text[:40]!r} is not a number") from None


def _svd(home: Home, call: Call, limits: Limits) -> Values:
    return _by_value(explore.singular_values(home.project, _first(call)))


def _svdfs(home: Home, call: Call, limits: Limits) -> Values:
    return _by_value(explore.singular_values_of_subset(home.project, _first(call)))


def _by_value(pairs: list[tuple[float, str]]) -> Values:
    return ksvs_map([{java_text(value): name for value, name in pairs}])


def _check_inputs(home: Home, call: Call, limits: Limits) -> Values:
    """Refuse what would fail whatever the numbers are, before there is a job."""
    several(home.project.summary.schema, _first(call))
    return {}


def _check_pca(home: Home, call: Call, limits: Limits) -> Values:
    wanted(home.project, _first(call), _share(call))
    return {}


QUESTIONS: Mapping[str, Question] = {
    "explore": _explore,
    "densityEstimate": _density,
    "conditionalDensityEstimate": _conditional_density,
    "dataDrift": _drift,
    "vif": _vif,
    "explorepca": _pca,
    "exploresvd": _svd,
    "exploresvdfs": _svdfs,
    "vifCheck": _check_inputs,
    "explorepcaCheck": _check_pca,
    "exploresvdCheck": _check_inputs,
    "exploresvdfsCheck": _check_inputs,
}

LONG = frozenset({"vif", "explorepca", "exploresvd", "exploresvdfs"})
"""Questions whose time grows with the cube of the number of attributes."""
