"""The table of what there is under `/symetry/rest/{cid}`.

`docs/compatibility.md` tells the same table to people; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tally.wire.envelope import (
    DATA_FRAME,
    DENSITY_LIST,
    JOB_INFO,
    JOB_INFO_LIST,
    KSVD_MAP,
    KSVS_MAP,
    MODEL_INFO,
    MODEL_VERSIONS,
    PCA_SUM,
    PCA_VALUES,
    PCA_VECTORS,
    SML_INFO,
    SML_INFO_LIST,
    STRING_LIST,
    TEXT,
)

REST = "/symetry/rest/"


class Action(Enum):
    """Who answers a route."""

    ASK = "the project's home, as it is"
    CHANGE = "the project's home, by a change that counts once however often it is sent"
    WORK = "the project's home, which is asked how far it is until it ends; counts once, too"
    ANYWHERE = "any worker, as the store has all that it takes"
    CREATE = "create"
    LIST = "list"
    INFO_ALL = "info of all"
    RENAME = "rename"
    DELETE = "delete"
    MERGE = "merge"
    IMPORT = "import"
    EXPORT = "export"
    DRIFT = "drift"
    FUSION_CREATE = "a fusion project is made"
    FUSION_STATUS = "cells are asked how they are"
    FUSION_UPDATE = "a fusion project gets other cells"
    CELL_STATISTICS = "cell statistics"
    JOBS = "jobs"
    JOB = "job"
    CANCEL = "cancel"


_CHANGES = frozenset(
    {
        Action.CHANGE,
        Action.WORK,
        Action.RENAME,
        Action.DELETE,
        Action.MERGE,
        Action.IMPORT,
        Action.FUSION_UPDATE,
    }
)


class Runs(Enum):
    """Whether an answer is waited for; the parameter `async` decides where there is a choice."""

    AT_ONCE = "at once"
    AT_ONCE_OR_JOB = "at once, or as a job with async=true"
    JOB_OR_AT_ONCE = "as a job, or at once with async=false"
    JOB = "as a job, which is begun once the project's home has checked the request"


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Attributes:
        method: of HTTP.
        path: below the customer; `{pid}`, `{modelid}` and `{jobid}` stand for any one segment.
        action: who answers.
        entities: members of `values`, of the job's where it is one.
        runs: whether the answer is waited for.
        query: parameters that the home reads, each as the documents spell it first.
        safe: it changes nothing, so HEAD may ask for it.
        home: what the home is asked, where that is not the last segment of the path.
    """

    method: str
    path: str
    action: Action
    entities: tuple[str, ...] = ()
    runs: Runs = Runs.AT_ONCE
    query: tuple[str, ...] = ()
    safe: bool = False
    home: str = ""

    @property
    def verb(self) -> str:
        """What the home is asked: the last segment of the path, unless the line says otherwise."""
        return self.home or self.path.rpartition("/")[2]

    @property
    def changes(self) -> bool:
        """Whether it changes a project that is there, and must count once however often sent."""
        return self.action in _CHANGES

    @property
    def segments(self) -> tuple[str, ...]:
        """The path, split."""
        return tuple(self.path.split("/"))


_BINARY = ("attributeTypes", "errorHandling")  # of rows that have no place for them in the body
CELLS_STATUS = ("cellsStatusEncrypted", "cellsStatus")
"""The same under the names of the documents' page and of their schema."""

_CELL_STATISTICS = ("version", "rows", "provenance", "notModified", "blob")
_PCA = (PCA_VECTORS, PCA_VALUES, PCA_SUM)

ROUTES: tuple[Route, ...] = (
    Route("GET", "jobs", Action.JOBS, (STRING_LIST, JOB_INFO_LIST), safe=True),
    Route("GET", "jobs/{jobid}", Action.JOB, (JOB_INFO,), safe=True),
    Route("DELETE", "jobs/{jobid}", Action.CANCEL),
    Route("POST", "projects", Action.CREATE),
    Route("GET", "projects/list", Action.LIST, (STRING_LIST,), safe=True),
    Route("GET", "projects/info", Action.INFO_ALL, (SML_INFO_LIST,), Runs.JOB_OR_AT_ONCE),
    Route("POST", "projects/dataDrift", Action.DRIFT, (KSVD_MAP,)),
    Route("POST", "projects/fusion/create", Action.FUSION_CREATE),
    Route("POST", "projects/fusion/cellsStatus", Action.FUSION_STATUS, CELLS_STATUS),
    Route("POST", "projects/fusion/{pid}/cellsStatus", Action.FUSION_STATUS, CELLS_STATUS),
    Route("POST", "projects/fusion/{pid}/updateCellsInfo", Action.FUSION_UPDATE),
    Route("DELETE", "projects/{pid}", Action.DELETE),
    Route("GET", "projects/{pid}/info", Action.ASK, (SML_INFO,), Runs.AT_ONCE_OR_JOB, safe=True),
    Route("GET", "projects/{pid}/save", Action.CHANGE),
    Route("GET", "projects/{pid}/freeze", Action.CHANGE),
    Route("GET", "projects/{pid}/unfreeze", Action.CHANGE),
    Route("GET", "projects/{pid}/rename", Action.RENAME),
    Route("GET", "projects/{pid}/unload", Action.CHANGE),
    Route("GET", "projects/{pid}/merge", Action.MERGE),
    Route("GET", "projects/{pid}/export", Action.EXPORT, safe=True),
    Route("POST", "projects/{pid}/import", Action.IMPORT),
    Route(
        "POST",
        "projects/{pid}/learn",
        Action.CHANGE,
        runs=Runs.AT_ONCE_OR_JOB,
        query=_BINARY,
    ),
    Route(
        "POST",
        "projects/{pid}/forget",
        Action.CHANGE,
        runs=Runs.AT_ONCE_OR_JOB,
        query=_BINARY,
    ),
    Route("POST", "projects/{pid}/transform", Action.ASK, (DATA_FRAME,), query=_BINARY),
    Route("POST", "projects/{pid}/histogramEnable", Action.CHANGE, query=("enable",)),
    Route(
        "POST",
        "projects/{pid}/explore",
        Action.ASK,
        (KSVD_MAP, SML_INFO),
        Runs.AT_ONCE_OR_JOB,
        ("metric", "returnProjectInfo"),
    ),
    Route("POST", "projects/{pid}/vif", Action.ASK, (KSVS_MAP,), Runs.JOB),
    Route(
        "POST",
        "projects/{pid}/explorepca",
        Action.ASK,
        _PCA,
        Runs.JOB,
        ("explainedCovariance",),
    ),
    Route("POST", "projects/{pid}/exploresvd", Action.ASK, (KSVS_MAP,), Runs.JOB),
    Route("POST", "projects/{pid}/exploresvdfs", Action.ASK, (KSVS_MAP,), Runs.JOB),
    Route(
        "POST",
        "projects/{pid}/densityEstimate",
        Action.ASK,
        (DENSITY_LIST,),
        query=("useLocal",),
    ),
    Route(
        "POST",
        "projects/{pid}/conditionalDensityEstimate",
        Action.ASK,
        (DENSITY_LIST,),
        query=("tps", "useLocal"),
    ),
    Route(
        "POST",
        "projects/{pid}/build",
        Action.WORK,
        runs=Runs.JOB,
        query=("modelid", "algo", "svdreduce"),
    ),
    Route(
        "POST",
        "projects/{pid}/reduce",
        Action.WORK,
        runs=Runs.JOB,
        query=("modelid", "algo", "heuristic", "delta", "numIterations"),
    ),
    Route(
        "POST",
        "projects/{pid}/selectModel",
        Action.WORK,
        runs=Runs.JOB,
        query=("modelid", "algo"),
    ),
    Route(
        "POST",
        "projects/{pid}/autoSelect",
        Action.WORK,
        runs=Runs.JOB,
        query=("modelid", "task"),
    ),
    Route(
        "GET",
        "projects/{pid}/models/{modelid}",
        Action.ASK,
        (MODEL_INFO,),
        safe=True,
        home="modelInfo",
    ),
    Route("DELETE", "projects/{pid}/models/{modelid}", Action.CHANGE, home="modelDelete"),
    Route(
        "GET",
        "projects/{pid}/models/{modelid}/versions",
        Action.ASK,
        (MODEL_VERSIONS,),
        safe=True,
        home="modelVersions",
    ),
    Route(
        "POST",
        "projects/{pid}/models/{modelid}/rollback",
        Action.CHANGE,
        (MODEL_VERSIONS,),
        query=("to",),
        home="modelRollback",
    ),
    Route(
        "GET",
        "projects/{pid}/models/{modelid}/code",
        Action.ASK,
        (TEXT,),
        query=("language",),
        safe=True,
        home="modelCode",
    ),
    Route(
        "POST",
        "projects/{pid}/predict/{modelid}",
        Action.ANYWHERE,
        (KSVS_MAP,),
        query=("impute",),
        home="predict",
    ),
    Route(
        "POST",
        "projects/{pid}/learnpredict/{modelid}",
        Action.CHANGE,
        (KSVS_MAP,),
        query=("keepColumns", "predictBeforeLearn", "rebuildModel"),
        home="learnpredict",
    ),
    Route(
        "GET",
        "projects/{pid}/model/export",
        Action.ASK,
        (TEXT,),
        query=("modelid",),
        safe=True,
        home="modelExport",
    ),
    Route(
        "POST",
        "projects/{pid}/model/import",
        Action.CHANGE,
        query=("modelid",),
        home="modelImport",
    ),
    Route(
        "POST",
        "projects/{pid}/model/export",
        Action.CHANGE,
        query=("modelid",),
        home="modelImport",
    ),
    Route(
        "GET",
        "projects/{pid}/cellStatistics",
        Action.CELL_STATISTICS,
        _CELL_STATISTICS,
        query=("scope", "since"),
        safe=True,
    ),
    Route("GET", "projects/{pid}/getDsLog", Action.ASK, (STRING_LIST,), safe=True),
    Route("GET", "projects/{pid}/getLFStats", Action.ASK, (STRING_LIST,), safe=True),
)
