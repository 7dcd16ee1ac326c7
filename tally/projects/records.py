"""The rows of projects, and where they stand.

Partition `projects/{customer}`: pid -> project. Partition `project/{uuid}`: everything about one
project. Partitions `projects-all/{bucket}`: every project there is, to be walked.
"""

from __future__ import annotations

import hashlib

import msgspec

from tally.ids import BlobId, NodeId
from tally.ledger.records import BlobRef
from tally.wire.projects import ProjectUuid

HEAD = "head"
SNAPSHOT = "snapshot"
PEER = "peer"
"""What the peer of a federated project knows; its snapshot has what was learned here."""

PARTS = "part/"
PART_BYTES = "part-bytes/"
"""Bytes that `PEER` names, by their digests: where they are large, `part/` tells the blob."""

BATCHES = "batch/"
USES = "lf/"
BUCKETS = 16
INLINE_BYTES = 64 * 1024
"""A snapshot up to this size stands in a row, written by the commit itself; else in a blob."""

MAX_OPTIONS_BYTES = 64 * 1024
"""Of what a project is created with: it stands in the head, which every commit writes again."""


class Name(msgspec.Struct, frozen=True):
    """Row `projects/{customer}`/{pid}: which project the name means now; `cells` of its options."""

    project: ProjectUuid
    kind: str
    created_ms: int
    cells: int = 0


class Shard(msgspec.Struct, frozen=True):
    """Which part of which project a shard is; it has no name, and ends with that project."""

    of: ProjectUuid
    number: int


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a project was created with.

    Attributes:
        kind: `type` as the client gave it.
        params: the creation keys, verbatim.
        histogram: whether it started with histograms; its snapshot knows whether it has any now.
        cells: shards that have its rows; 0: it has them itself.
    """

    kind: str = "cpu"
    params: dict[str, str] = {}
    histogram: bool = False
    cells: int = 0

    @property
    def autosave(self) -> bool:
        """Tell whether every change is written to the store before it is acknowledged."""
        return self.params.get("sml_project_autosave", "true").strip().lower() != "false"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Row `head` of a project: who may change it, and what it is.

    Attributes:
        customer, pid: as the user calls the project.
        epoch: grows with each claim.
        owner: who claimed it, a word of its own for each claim; empty before the first one.
        node: where the owner is, for brokers.
        generation: grows with every commit.
        commit: a word of its own for each commit, by which its author knows it again.
        blob: the snapshot, where it is large; else it is in the row `snapshot`, if there is any.
        next: under which the owner writes the next large one; so bytes are never nobody's, however
            long it takes from them to the commit.
        frozen: changes of the statistics are refused.
        persisted: false: it lives in the owner's memory only, and ends with it.
        modified_ms: of the last learn, forget or merge that is in the snapshot.
        deleted: nothing may change any more.
        last: batch id of the request that deleted it.
        shard: what it is a part of; None: it is a project that has a name.
    """

    customer: str
    pid: str
    options: Options
    created_ms: int
    epoch: int = 0
    owner: str = ""
    node: NodeId = NodeId("")
    generation: int = 0
    commit: str = ""
    blob: BlobRef | None = None
    next: BlobId = BlobId("")
    frozen: bool = False
    persisted: bool = True
    modified_ms: int = 0
    deleted: bool = False
    last: str = ""
    shard: Shard | None = None


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """One request that was counted: its id, and what tells it from another with the same id."""

    id: str
    digest: str


class Batches(msgspec.Struct, frozen=True):
    """Row `batch/{generation}`: the requests that one commit answers."""

    owner: str
    batches: tuple[Batch, ...]


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Row `lf/{digest}`: calls of learn or forget that are alike in all but time and rows.

    Attributes:
        names, types: of the columns; the row is written by each commit, so there are not too many.
    """

    client: str
    op: str
    status: str
    names: tuple[str, ...]
    types: str
    count: int = 0
    rows: int = 0
    process_ms: int = 0

    @property
    def key(self) -> str:
        """Where it stands."""
        alike = (self.client, self.op, self.status, self.names, self.types)
        return USES + hashlib.sha256(msgspec.json.encode(alike)).hexdigest()


class Registered(msgspec.Struct, frozen=True):
    """Row `projects-all/{bucket}`/{uuid}: there may be such a project.

    Attributes:
        blob: under which its maker writes a snapshot that it starts with; empty: under none.
    """

    created_ms: int
    blob: BlobId = BlobId("")


def names_partition(customer: str) -> str:
    """Return where the names of a customer's projects stand."""
    return f"projects/{customer}"


def project_partition(project: ProjectUuid) -> str:
    """Return where the rows of a project stand."""
    return f"project/{project}"


def registry_partitions() -> list[str]:
    """Return all partitions of the registry.

    Example:
        >>> registry_partitions()[:2]
        ['projects-all/00', 'projects-all/01']
    """
    return [f"projects-all/{bucket:02}" for bucket in range(BUCKETS)]


def registry_partition(project: ProjectUuid) -> str:
    """Return where a project is registered."""
    bucket = int(hashlib.sha256(project.encode()).hexdigest()[:8], 16) % BUCKETS
    return registry_partitions()[bucket]


def batches_key(generation: int) -> str:
    """Return the row of a commit's requests; keys sort as the generations do."""
    return f"{BATCHES}{generation:016}"
