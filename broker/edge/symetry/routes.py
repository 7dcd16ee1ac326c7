"""The table of what there is under `/symetry/rest/{cid}`, and finding a request in it.

`docs/compatibility.md` tells the same table to people; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from tally.wire.envelope import (
    DATA_FRAME,
    DENSITY_LIST,
    JOB_INFO,
    JOB_INFO_LIST,
    KSVD_MAP,
    KSVS_MAP,
    PCA_SUM,
    PCA_VALUES,
    PCA_VECTORS,
    SML_INFO,
    SML_INFO_LIST,
    STRING_LIST,
)

REST = "/symetry/rest/"
LEARN_SOCKET, FORGET_SOCKET = "/symetry/ws/learn", "/symetry/ws/forget"

_MAX_SEGMENTS = 8
# Never a project, since calls are, or will be, called so; what is not there yet is not found.
_NO_PROJECTS = frozenset({"dataDrift", "dsbrowse", "fusion", "info", "list"})


class Action(Enum):
    """Who answers a route."""

    ASK = "the project's home, as it is"
    CHANGE = "the project's home, by a change that counts once however often it is sent"
    CREATE = "create"
    LIST = "list"
    INFO_ALL = "info of all"
    RENAME = "rename"
    DELETE = "delete"
    MERGE = "merge"
    IMPORT = "import"
    EXPORT = "export"
    DRIFT = "drift"
    JOBS = "jobs"
    JOB = "job"
    CANCEL = "cancel"


_CHANGES = frozenset({Action.CHANGE, Action.RENAME, Action.DELETE, Action.MERGE, Action.IMPORT})


class Runs(Enum):
    """Whether an answer is waited for; the parameter `async` decides where there is a choice."""

    AT_ONCE = "at once"
    AT_ONCE_OR_JOB = "at once, or as a job with async=true"
    JOB_OR_AT_ONCE = "as a job, or at once with async=false"
    JOB = "as a job"


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Attributes:
        method: of HTTP.
        path: below the customer; `{pid}` and `{jobid}` stand for any one segment.
        action: who answers.
        entities: members of `values`, of the job's where it is one.
        runs: whether the answer is waited for.
        query: parameters that the home reads, each as the documents spell it first.
        safe: it changes nothing, so HEAD may ask for it.
    """

    method: str
    path: str
    action: Action
    entities: tuple[str, ...] = ()
    runs: Runs = Runs.AT_ONCE
    query: tuple[str, ...] = ()
    safe: bool = False

    @property
    def verb(self) -> str:
        """What the home is asked: the last segment of the path."""
        return self.path.rpartition("/")[2]

    @property
    def changes(self) -> bool:
        """Whether it changes a project that is there, and must count once however often sent."""
        return self.action in _CHANGES

    @property
    def segments(self) -> tuple[str, ...]:
        """The path, split."""
        return tuple(self.path.split("/"))


_BINARY = ("attributeTypes", "errorHandling")  # of rows that have no place for them in the body
_PCA = (PCA_VECTORS, PCA_VALUES, PCA_SUM)

ROUTES: tuple[Route, ...] = (
    Route("GET", "jobs", Action.JOBS, (STRING_LIST, JOB_INFO_LIST), safe=True),
    Route("GET", "jobs/{jobid}", Action.JOB, (JOB_INFO,), safe=True),
    Route("DELETE", "jobs/{jobid}", Action.CANCEL),
    Route("POST", "projects", Action.CREATE),
    Route("GET", "projects/list", Action.LIST, (STRING_LIST,), safe=True),
    Route("GET", "projects/info", Action.INFO_ALL, (SML_INFO_LIST,), Runs.JOB_OR_AT_ONCE),
    Route("POST", "projects/dataDrift", Action.DRIFT, (KSVD_MAP,)),
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
    Route("GET", "projects/{pid}/getDsLog", Action.ASK, (STRING_LIST,), safe=True),
    Route("GET", "projects/{pid}/getLFStats", Action.ASK, (STRING_LIST,), safe=True),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads.

    Attributes:
        cid: customer in the path, decoded.
        routes: what there is at the path, by method; empty: nothing.
        values: what stands for `{pid}` and the like, decoded.
    """

    cid: str
    routes: Mapping[str, Route]
    values: Mapping[str, str]

    def route(self, method: str) -> Route | None:
        """Return the line that answers a method; HEAD is answered where nothing is changed."""
        if method == "HEAD":
            found = self.routes.get("GET")
            return found if found is not None and found.safe else None
        return self.routes.get(method)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that the path knows, in order."""
        known = {*self.routes, "OPTIONS"}
        if self.route("HEAD"):
            known.add("HEAD")
        return tuple(sorted(known))


def find(raw_path: bytes) -> Found:
    """Return where a path leads, as sent: literal segments win over `{...}`, case counts.

    Example:
        >>> found = find(b"/symetry/rest/c1/projects/my%20proj/info/")
        >>> found.cid, found.values["pid"], found.methods
        ('c1', 'my proj', ('GET', 'HEAD', 'OPTIONS'))
    """
    below = raw_path.removeprefix(REST.encode())
    segments = [_decoded(part) for part in below.split(b"/", _MAX_SEGMENTS + 1)]
    if below == raw_path or len(segments) > _MAX_SEGMENTS:
        return Found("", {}, {})
    if segments[-1] == "":
        segments.pop()  # of the slash at the end
    cid, *rest = segments or [""]
    pattern = _most_literal(rest)
    if not cid or pattern is None:
        return Found(cid, {}, {})
    pairs = zip(pattern, rest, strict=True)
    values = {name[1:-1]: given for name, given in pairs if _open(name)}
    return Found(cid, _BY_PATTERN[pattern], values)


def _most_literal(segments: list[str]) -> tuple[str, ...] | None:
    fits = [pattern for pattern in _BY_PATTERN if _matches(pattern, segments)]
    return min(fits, key=lambda pattern: [_open(name) for name in pattern], default=None)


def _matches(pattern: tuple[str, ...], segments: list[str]) -> bool:
    return len(pattern) == len(segments) and all(
        (_open(name) and given != "" and not (name == "{pid}" and given in _NO_PROJECTS))
        or name == given
        for name, given in zip(pattern, segments, strict=True)
    )


def _open(name: str) -> bool:
    return name.startswith("{")


def _decoded(segment: bytes) -> str:
    return unquote_to_bytes(segment).decode(errors="replace")


def _by_pattern(routes: Iterable[Route]) -> Mapping[tuple[str, ...], Mapping[str, Route]]:
    found: dict[tuple[str, ...], dict[str, Route]] = {}
    for route in routes:
        found.setdefault(route.segments, {})[route.method] = route
    return found


_BY_PATTERN = _by_pattern(ROUTES)
