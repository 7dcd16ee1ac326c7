"""The call that brokers make to the worker that is a project's home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NewType
from urllib.parse import urlencode

import msgspec

ProjectUuid = NewType("ProjectUuid", str)

PREFIX = "/internal/projects/"
BATCH_ID = "X-Batch-Id"
CLIENT = "X-Sym-Client"
NOT_HOME = 421
"""The worker is not the project's home now; another may be."""


class Refusal(msgspec.Struct, frozen=True):
    """The body of an answer that is not 200.

    Attributes:
        text: the `statusString` for the client.
        values: of the envelope.
    """

    text: str
    values: dict[str, object] = {}


def project_path(project: ProjectUuid, verb: str, query: Mapping[str, str] | None = None) -> str:
    """Return the path of a call about a project, with the internal token.

    The worker answers 200 with the JSON of the envelope's `values`, 421 if it is not the home,
    another status with a `Refusal`. `X-Batch-Id` names a change, so that a repeated call counts
    once.

    Example:
        >>> project_path(ProjectUuid("ab"), "explore", {"metric": "uni"})
        '/internal/projects/ab/explore?metric=uni'
    """
    path = f"{PREFIX}{project}/{verb}"
    return f"{path}?{urlencode(query)}" if query else path
