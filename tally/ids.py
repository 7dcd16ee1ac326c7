"""Identifiers that cross process boundaries."""

from __future__ import annotations

import uuid
from typing import NewType

ModelUuid = NewType("ModelUuid", str)
"""Names one model for ever; a model deleted and created again gets another. 32 hex digits."""

FitId = NewType("FitId", str)
"""Names one fit request: the model's uuid, a dot, 16 hex digits."""

BlobId = NewType("BlobId", str)
"""Names immutable bytes in the store. 32 hex digits."""

NodeId = NewType("NodeId", str)
"""Names a worker as its key in the coordinator does: `host_port`."""

DEFAULT_MODEL = "default"
"""The name behind `/api/fit_model` and `/api/forecast/{steps}`."""


def new_model_uuid() -> ModelUuid:
    """Return an id that no other model has."""
    return ModelUuid(uuid.uuid4().hex)


def new_blob_id() -> BlobId:
    """Return an id that no other blob has."""
    return BlobId(uuid.uuid4().hex)


def new_fit_id(model: ModelUuid) -> FitId:
    """Return an id for a new fit of `model`."""
    return FitId(f"{model}.{uuid.uuid4().hex[:16]}")


def model_of(fit: FitId) -> ModelUuid:
    """Return the model that a fit belongs to.

    Example:
        >>> model_of(FitId("0f" * 16 + ".00000000000000aa")) == "0f" * 16
        True
    """
    return ModelUuid(fit.partition(".")[0])
