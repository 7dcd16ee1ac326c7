"""What answers under `/symetry` are made of, member for member as clients read them.

Dates are milliseconds since 1970. A member that is UNSET is left out; the protocol knows no null.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class DataFrame(msgspec.Struct, frozen=True, rename="camel"):
    """A table whose cells are all texts; numbers as `java_double` writes them."""

    attribute_names: list[str]
    attribute_types: list[str]
    data: list[list[str]]


class JobInfo(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """How far a job has come.

    Attributes:
        current, maximum: work done and work in all, in units of the job's kind.
        is_on_bounded_executor: it waits for its turn among others.
        details: for people; the parameters that it was started with.
    """

    job_id: int
    job_type: str
    owner: str
    starting_date: int
    current: int = 0
    maximum: int = 0
    is_on_bounded_executor: bool = True
    is_started: bool = False
    is_done: bool = False
    details: dict[str, str] = {}


class ModelInfo(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A model of a project.

    Attributes:
        build_time: how long the build took, in milliseconds (the protocol names no unit).
        target_indexes: `targetindexes` on the wire, with that small letter.
    """

    model_id: str
    model_type: str
    creation_date: int
    model_built: int = 1
    build_time: int = 0
    attribute_names: list[str] = []
    attribute_indexes: list[int] = []
    attribute_types: list[str] = []
    predict_info: list[str] = []
    score_info: list[str] = []
    target_names: list[str] = []
    target_indexes: list[int] = msgspec.field(default_factory=list, name="targetindexes")
    info: dict[str, str] = {}
    extra: dict[str, DataFrame] | UnsetType = UNSET
    use_short_desc: bool | UnsetType = UNSET


class ProjectInfo(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A project, as `info` tells it; the lists of attributes are parallel.

    Attributes:
        params: what it was created with and what has become of it, such as
            `sml_project_is_freeze`.
        hash, is_dirty: constants that clients expect to be there.
        last_modification_date: moved by learn, forget and merge only.
        fusion_cell_info, fusion_cell_info_list: the cells of a fusion project, encrypted with the
            customer's key, under both names that clients read.
    """

    pid: str
    type: str
    creation_date: int
    last_modification_date: int
    loaded: bool
    persisted: bool
    histogram_enabled: bool
    auto_save: bool
    attribute_names: list[str] = []
    attribute_indexes: list[int] = []
    attribute_types: list[str] = []
    models_list: list[str] = []
    model_type_list: list[str] = []
    ds_list: list[str] = []
    streams: list[str] | UnsetType = UNSET
    encoder_name: str | UnsetType = UNSET
    partition_column: str | UnsetType = UNSET
    model_assessments: dict[str, str] = {}
    model_predictions: dict[str, str] = {}
    params: dict[str, str] = {}
    hash: int = -1
    is_dirty: bool = True
    category_separator: str = "$"
    fusion_cell_info: str | UnsetType = UNSET
    fusion_cell_info_list: str | UnsetType = UNSET


class Density(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A histogram of one attribute, in bins of equal width.

    Attributes:
        min, max: outer edges; UNSET where there is nothing to count.
        width: of a bin.
        histogram: rows in each bin.
        error: why this is not the whole answer, or none at all.
    """

    attr_name: str
    min: float | UnsetType = UNSET
    max: float | UnsetType = UNSET
    width: float | UnsetType = UNSET
    histogram: list[float] = []
    error: str | UnsetType = UNSET
