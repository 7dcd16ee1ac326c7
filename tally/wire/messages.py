"""What brokers and workers tell each other: keys in the coordinator, and one HTTP call."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from tally.ids import DEFAULT_MODEL, ModelUuid, NodeId

NODES = "nodes/"
FITTERS = "fitters/"
MODELS = "models/"
MOVES = "moves/"
DEFAULT_VERSION = "modelVersion"

REQUEST_ID = "X-Request-Id"
MODEL_VERSION = "X-Model-Version"


class Announcement(msgspec.Struct, frozen=True):
    """The value of `modelVersion`, or of `models/{name}/version`: a head of the store.

    `version` and `timestamp` are what the original's tools read.

    Attributes:
        version: served from now on; 0 where the model was deleted.
        timestamp: when the head moved there, ISO 8601.
        name, model: which model.
        previous: what a worker serves that cannot load `version`; 0 if there is none.
        generation: orders announcements; versions do not, because of rollbacks.
        last_version: the highest number given out.
        barrier: the highest number given out before the last rollback; what is between `version`
            and that will not be served by itself.
        restored: how often the store was found to be a restored backup. A number of a version may
            mean another one since.
    """

    version: int
    timestamp: str
    name: str
    model: ModelUuid
    previous: int
    generation: int
    last_version: int = 0
    barrier: int = 0
    restored: int = 0


class Serving(msgspec.Struct, frozen=True):
    """One model on one worker.

    Attributes:
        name: the model's.
        version: that it answers with.
        generation: of the head that made it serve this.
        degraded: why it serves `previous` instead of the head; empty if it does not.
        restored: of that head; the version is one of the store's history since then.
    """

    name: str
    version: int
    generation: int
    degraded: str = ""
    restored: int = 0


class Node(msgspec.Struct, frozen=True):
    """The value of `nodes/{host}_{port}`: a forecast worker, alive while the key is there.

    Attributes:
        host, port: where brokers reach it.
        model: the version of the default model that it serves, 0 if none.
        serving: by model uuid.
    """

    host: str
    port: int
    model: int
    serving: dict[ModelUuid, Serving] = {}


class Fitter(msgspec.Struct, frozen=True):
    """The value of `fitters/{id}`: a fit worker, alive while the key is there.

    Attributes:
        host, pid: where it runs, for people.
        algorithms: names of the families that it can fit.
    """

    host: str
    pid: int
    algorithms: tuple[str, ...]


class Moves(msgspec.Struct, frozen=True):
    """The value of `moves/{host}_{port}`: projects whose models a worker has changed.

    It only hints: whoever misses one finds out when it asks the store.

    Attributes:
        count: of all since the worker started, one for each change.
        last: projects of the last ones, the newest at the end.
    """

    count: int
    last: tuple[str, ...] = ()


def version_key(name: str) -> str:
    """Return the key under which the head of a model is announced.

    Example:
        >>> version_key("default"), version_key("shop")
        ('modelVersion', 'models/shop/version')
    """
    return DEFAULT_VERSION if name == DEFAULT_MODEL else f"{MODELS}{name}/version"


def node_id(host: str, port: int) -> NodeId:
    """Return the last part of a node's key."""
    return NodeId(f"{host}_{port}")


def forecast_path(
    model: ModelUuid,
    version: int,
    steps: int,
    *,
    levels: tuple[float, ...] = (),
    timestamps: bool = False,
    include_version: bool = False,
    restored: int = 0,
) -> str:
    """Return the path and query of a worker's forecast call, `GET` with the internal token.

    The worker answers 200 with the JSON body that the client gets and `X-Model-Version`, exactly
    of this version; 404 if the version does not exist or is retired; 409 if it may exist but
    this worker cannot serve it now (the broker asks the next); 503 if it cannot load it because
    the store is away. With `restored`, what was loaded in an earlier history of the store does not
    count as this version.

    Example:
        >>> forecast_path(ModelUuid("ab"), 3, 10, levels=(80.0, 95.0))
        '/internal/models/ab/versions/3/forecast/10?level=80%2C95'
    """
    query: dict[str, str] = {}
    if levels:
        query["level"] = ",".join(f"{level:g}" for level in levels)
    if timestamps:
        query["timestamps"] = "true"
    if include_version:
        query["include"] = "version"
    if restored:
        query["restored"] = str(restored)
    path = f"/internal/models/{model}/versions/{version}/forecast/{steps}"
    return f"{path}?{urlencode(query)}" if query else path
