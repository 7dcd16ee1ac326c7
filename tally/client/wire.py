"""Members of answers, as they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from tally.client.errors import ProjectRefused
from tally.client.session import Answer
from tally.errors import InvalidInput
from tally.wire import entities
from tally.wire.envelope import (
    DENSITY_LIST,
    JOB_INFO_LIST,
    KSVD_MAP,
    KSVS_MAP,
    SML_INFO,
    SML_INFO_LIST,
    STRING_LIST,
)
from tally.wire.fusion import FusionCellInfo, FusionCellStatus, read_cells, read_statuses
from tally.wire.secret_key import SecretKey
from tally.wire.status import Refused

T = TypeVar("T")

CELLS_STATUS = "cellsStatus"

_NAN = float("nan")


class _Numbers(msgspec.Struct):
    values: list[dict[str, float | None]]


class _Texts(msgspec.Struct):
    values: list[dict[str, str]]


class _Names(msgspec.Struct):
    values: list[str]


class _Densities(msgspec.Struct):
    values: list[entities.Density]


class _Jobs(msgspec.Struct):
    values: list[entities.JobInfo]


class _Infos(msgspec.Struct):
    values: list[entities.ProjectInfo]


class _Whole(msgspec.Struct):
    values: dict[str, Any]


def values(answer: Answer) -> dict[str, Any]:
    """Return all members of an answer as they are."""
    return msgspec.json.decode(answer.body, type=_Whole).values


def infos(answer: Answer) -> list[entities.ProjectInfo]:
    """Return the projects in an answer."""
    return answer.value(SML_INFO_LIST, _Infos).values


def number_maps(answer: Answer) -> list[dict[str, float]]:
    """Return the maps of numbers in an answer; NaN where JSON had none to send."""
    told = answer.value(KSVD_MAP, _Numbers).values
    return [{key: _NAN if x is None else x for key, x in one.items()} for one in told]


def text_map(answer: Answer) -> dict[str, str]:
    """Return the one map of texts in an answer, in the server's order."""
    return answer.value(KSVS_MAP, _Texts).values[0]


def text_maps(answer: Answer) -> list[dict[str, str]]:
    """Return the maps of texts in an answer, one for each row."""
    return answer.value(KSVS_MAP, _Texts).values


def names(answer: Answer) -> list[str]:
    """Return the list of texts in an answer."""
    return answer.value(STRING_LIST, _Names).values


def cell_statuses(key: SecretKey, answer: Answer) -> Sequence[FusionCellStatus]:
    """Return the states of cells in an answer, which are encrypted for their customer.

    Raises:
        ProjectRefused: they are not.
    """
    text = answer.value(CELLS_STATUS, str)
    return _readable(answer, CELLS_STATUS, lambda: read_statuses(key, text))


def cells(key: SecretKey, answer: Answer) -> tuple[FusionCellInfo, ...]:
    """Return the cells of the project in an answer, keys included; none of another project.

    Raises:
        ProjectRefused: they are not encrypted for their customer.
    """
    text = answer.value(SML_INFO, entities.ProjectInfo).fusion_cell_info_list
    if text is UNSET:
        return ()
    return _readable(answer, "fusionCellInfoList", lambda: read_cells(key, text.encode()))


def _readable(answer: Answer, what: str, read: Callable[[], T]) -> T:
    """Return what a part of an answer holds that is encrypted.

    Raises:
        ProjectRefused: it cannot be read.
    """
    try:
        return read()
    except (InvalidInput, Refused):  # their words are for whoever wrote a request
        raise ProjectRefused(answer.status, f"the answer's {what} cannot be read") from None


def densities(answer: Answer) -> list[entities.Density]:
    """Return the densities in an answer."""
    return answer.value(DENSITY_LIST, _Densities).values


def jobs(answer: Answer) -> list[entities.JobInfo]:
    """Return the jobs in an answer."""
    return answer.value(JOB_INFO_LIST, _Jobs).values
