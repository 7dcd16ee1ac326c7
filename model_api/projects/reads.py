"""Questions about a project's statistics: JSON in, the engine's answer, `values` out.

Each function computes from one immutable snapshot, beside the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from model_api.projects.calls import Call
from model_api.projects.home import Home
from tally.codec.frame import decode as decode_frame
from tally.codec.frame.limits import Limits
from tally.engine.explore.context import Context
from tally.engine.explore.pca import principal_components
from tally.engine.explore.svd import singular_values, singular_values_of_subset
from tally.engine.explore.vif import variance_inflation
from tally.errors import InvalidInput
from tally.wire import texts
from tally.wire.contexts import MLContext, parse_explore_context
from tally.wire.envelope import (
    PCA_SUM,
    PCA_VALUES,
    PCA_VECTORS,
    Values,
    data_frame,
    ksvs_map,
)
from tally.wire.java_text import java_text
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


def _first(call: Call) -> Context:
    return context_of(parse_explore_context(call.body)[0])


def _vif(home: Home, call: Call, limits: Limits) -> Values:
    return ksvs_map([variance_inflation(home.project, _first(call))])


def _pca(home: Home, call: Call, limits: Limits) -> Values:
    share = _share(call.query.get("explainedCovariance", ""))
    found = principal_components(home.project, _first(call), share)
    count = len(found.values)
    names = [f"e{k + 1}" for k in range(count)]
    letters = ["C"] * len(found.names)
    return {
        **data_frame(found.names, letters, found.vectors.tolist(), PCA_VECTORS),
        **data_frame(names, ["C"] * count, [found.values.tolist()], PCA_VALUES),
        PCA_SUM: found.total,
    }


def _share(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        raise InvalidInput("explainedCovariance", f"{text[:40]!r} is not a number") from None


def _svd(home: Home, call: Call, limits: Limits) -> Values:
    return _by_value(singular_values(home.project, _first(call)))


def _svdfs(home: Home, call: Call, limits: Limits) -> Values:
    return _by_value(singular_values_of_subset(home.project, _first(call)))


def _by_value(pairs: list[tuple[float, str]]) -> Values:
    return ksvs_map([{java_text(value): name for value, name in pairs}])


QUESTIONS: Mapping[str, Question] = {
    "vif": _vif,
    "explorepca": _pca,
    "exploresvd": _svd,
    "exploresvdfs": _svdfs,
}
