"""The call that brokers make to the worker that is a project's home.

A call is `{any method} /internal/projects/{uuid}/{verb}?{query}` with the internal token. The
home reads the verb, never the method:

| verb | query | body | `values`, or another answer |
|---|---|---|---|
| learn, forget | attributeTypes, errorHandling | rows, as the client sent them | |
| merge | other: uuid | that project's `snapshot` | |
| import | cid, pid, persist | the exported text | of a uuid that was never used |
| save, freeze, unfreeze, unload, delete | | | |
| rename | newName | | |
| histogramEnable | enable | | |
| info | | | smlInfo |
| getLFStats, getDsLog | | | stringList |
| transform | | rows | dataframe |
| explore | metric, returnProjectInfo | ExploreContext | KSVDMap, smlInfo |
| vif, exploresvd, exploresvdfs | | ExploreContext | KSVSMap |
| explorepca | explainedCovariance | ExploreContext | pcaVectors, pcaValues, pcaSumValues |
| vifCheck, explorepcaCheck, exploresvdCheck, exploresvdfsCheck | as without `Check` | the same | |
| densityEstimate, conditionalDensityEstimate | | ExploreContext | densityList |
| dataDrift | | `drift_body` | KSVDMap |
| build, buildCheck | modelid, algo, svdreduce | MLContext | |
| reduce, reduceCheck | modelid, algo, heuristic, delta, numIterations | MLContext | |
| selectModel, selectModelCheck | modelid, algo | `{mlcontext, dataframe}` | of the check: details |
| autoSelect, autoSelectCheck | modelid, task | `{mlcontext, dataframe}` | of the check: details |
| work, stop | | | of the long work of a batch id |
| predict | modelid, impute | rows | KSVSMap; the header `X-Model-Version` |
| modelInfo | modelid | | modelInfo |
| modelVersions | modelid | | modelVersions |
| learnpredict | modelid, keepColumns, predictBeforeLearn, rebuildModel | rows | as predict |
| modelExport | modelid | | string |
| modelImport | modelid | what was exported | |
| modelCode | modelid, language | | string |
| modelRollback | modelid, to | | modelVersions |
| modelDelete | modelid | | |
| snapshot | | | the project's bytes, for `merge` and `dataDrift` |
| cellStatistics | scope, since | | `tally.wire.cell_statistics`, as bytes; 409 too few rows |
| export | | | base64 text, as `text/plain` |
| infoKnown | | | smlInfo, for which nothing is fetched |
| fusionCreate | cid, pid, persist | sealed cells | of a uuid that was never used |
| fusionUpdate | digest | sealed cells | |
| fusionStatus | | sealed cells; none: its own | fusionStatus |
| fusionProbe | | sealed cells | fusionStatus; of a uuid that was never used |
| fusionPlaces | | | fusionPlaces |
| shardStatistics | since | | `model_api.shards.telling`, as bytes; of a shard |
| shardUses | | | its log, as JSON; of a shard |
| shardKnows | id | | whether it has counted that batch id, as JSON; of a shard |

Of a sharded project, learn and merge are asked of the shard that the batch id hashes to.

Answers: 200 with the JSON of the envelope's `values`, where the table names nothing else; any
other status with a `Refusal`:

* 202 long work, such as `build`, goes on: `Working`. Its broker asks again by `work`.
* 400 the client's mistake; 409 the name is taken (import, rename), or a shard was told of a newer
  sum than the one that a forget was judged by; 413 too large.
* 404 there is no such project (any more); the broker has the documented words for it.
* 421 another worker is the project's home: `values.owner` is its node id. A broker that cannot
  reach that one says so in `X-Suspects` to the next, which may then become the home.
* 422 the batch id was used for another change, or the work that bears it was stopped.
* 429 the project's queue is full; 503 not now: try again, with the same batch id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NewType
from urllib.parse import urlencode

import msgspec

from tally.errors import InvalidInput
from tally.ids import NodeId

ProjectUuid = NewType("ProjectUuid", str)
"""Names one project for ever, whatever it is called. 32 hex digits."""

JOB_DETAILS = "details"
"""Of the answer to a check: a map of texts that the job will tell."""

PREFIX = "/internal/projects/"
BATCH_ID = "X-Batch-Id"
"""Names a change: any text up to 200 characters; a repeated one with the same body counts once."""
CLIENT = "X-Sym-Client"
SUSPECTS = "X-Suspects"
"""Node ids that the broker cannot reach, comma-separated: their projects may be taken over."""
FUSION_PATH = "sml-fusion-path"
"""The fusion projects that ask through one another, the first one first, comma-separated."""
FUSION_DEADLINE = "sml-fusion-deadline-ms"
"""For how long the project that asks still waits."""
FENCE = "X-Fence"
"""The number of a sharded project's sum: what its shard is asked for, or forgets rows by."""
FUSION_STATUS, FUSION_PLACES = "fusionStatus", "fusionPlaces"
NOT_HOME = 421
"""The worker is not the project's home now; another may be."""
OWNER = "owner"

_LENGTH_BYTES = 8


WORK = "work"
"""Verb: asks about the long work of a batch id again, without its body."""
STOP = "stop"
"""Verb: the long work of a batch id is to come to nothing."""


class Working(msgspec.Struct, frozen=True):
    """The body of an answer 202: work goes on, and its caller is to ask again.

    Attributes:
        done, most: how many steps it has made, and of how many at most.
        known: false: no work of this batch id is under way here; the whole call is to be sent.
    """

    done: int = 0
    most: int = 1
    known: bool = True


class Stopped(msgspec.Struct, frozen=True):
    """The answer to `stop`.

    Attributes:
        stopped: nothing comes of the work, now or later; false: it came before.
    """

    stopped: bool


class Refusal(msgspec.Struct, frozen=True):
    """The body of an answer that is not 200.

    Attributes:
        text: the `statusString` for the client.
        values: of the envelope.
    """

    text: str
    values: dict[str, object] = {}


def project_path(project: ProjectUuid, verb: str, query: Mapping[str, str] | None = None) -> str:
    """Return the path of a call about a project.

    Example:
        >>> project_path(ProjectUuid("ab"), "explore", {"metric": "uni"})
        '/internal/projects/ab/explore?metric=uni'
    """
    path = f"{PREFIX}{project}/{verb}"
    return f"{path}?{urlencode(query)}" if query else path


def suspects(header: str) -> frozenset[NodeId]:
    """Return the nodes in an `X-Suspects` header.

    Example:
        >>> sorted(suspects("a_1, b_2,"))
        ['a_1', 'b_2']
    """
    return frozenset(NodeId(name.strip()) for name in header.split(",") if name.strip())


def suspects_header(nodes: Iterable[NodeId]) -> str:
    """Return the header that `suspects` reads."""
    return ",".join(sorted(nodes))


def drift_body(context: bytes, analysis: bytes) -> bytes:
    """Return the body of `dataDrift`.

    Args:
        context: the client's MLContext, as JSON.
        analysis: `snapshot` of the project to compare with; empty for the embedded window.

    Example:
        >>> split_drift_body(drift_body(b"{}", b"abc"))
        (b'{}', b'abc')
    """
    return len(context).to_bytes(_LENGTH_BYTES, "little") + context + analysis


def split_drift_body(body: bytes) -> tuple[bytes, bytes]:
    """Return context and analysis of a `drift_body`.

    Raises:
        InvalidInput: it is none.
    """
    end = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES], "little")
    if len(body) < max(end, _LENGTH_BYTES):
        raise InvalidInput("body", f"its {len(body)} bytes are not context and snapshot")
    return body[_LENGTH_BYTES:end], body[end:]
