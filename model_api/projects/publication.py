"""What is published of a model: its bytes, what is told of it, and how to make it again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from model_api.projects.basis import Basis
from model_api.projects.model_steps import Publish
from tally.codec.model import encode
from tally.models.attributes import Chosen
from tally.models.base import Statistics
from tally.models.model import Model
from tally.projects.model_records import ModelVersion, pack_model


def publication(
    request: str,
    name: str,
    model: Model,
    context: bytes,
    *,
    basis: Basis,
    began_ns: int,
    at_ms: int,
    fits: int = 1,
    reduce: bool = False,
) -> Publish:
    """Return a model, ready to be published.

    Args:
        request: digest of what was asked for.
        name: of the model.
        model: as it was made.
        context: MLContext by which it is built again.
        basis: what it was made from.
        began_ns: when its making began, by `time.perf_counter_ns`.
        at_ms: the date.
        fits: that it took.
        reduce: inputs that others determine were left out.
    """
    if basis.told:
        model = replace(model, info={**model.info, **basis.told})
    data = pack_model(context, encode(model))
    made = ModelVersion(
        id=name,
        version=0,
        family=model.family,
        reduce=reduce,
        created_ms=at_ms,
        build_ns=time.perf_counter_ns() - began_ns,
        rows=model.rows,
        learned=model.learned,
        generation=basis.generation,
        size_bytes=len(data),
        fits=fits,
    )
    return Publish(request, made, data)


def kept_context(chosen: Chosen, statistics: Statistics, parameters: Mapping[str, str]) -> bytes:
    """Return the MLContext by which the same model is built again."""
    names = statistics.summary.schema.names
    return msgspec.json.encode(
        {
            "targetAttributeNames": [names[i] for i in chosen.targets],
            "inputAttributeNames": [names[i] for i in chosen.inputs],
            "extraParameters": parameters,
        }
    )
