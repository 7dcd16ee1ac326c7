"""The rows of the ledger, and where they stand.

Partition `registry`: name -> uuid. Partition `model/{uuid}`: everything about one model.
Partitions `open/{bucket}`: fits that have not ended, for the reconciler to walk.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from tally.forecast.scores import Backtest
from tally.ids import BlobId, FitId, ModelUuid
from tally.store.base import Blob

REGISTRY = "registry"
DELETED = "deleted"
HEAD = "head"
OPEN_BUCKETS = 16


class FitState(StrEnum):
    """How far a fit has come. The legal moves are those that `fits.py` leads to."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    STORED = "STORED"
    PUBLISHED = "PUBLISHED"
    SERVED = "SERVED"
    SUPERSEDED = "SUPERSEDED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    ABANDONED = "ABANDONED"

    @property
    def ended(self) -> bool:
        """Tell whether nothing more will happen by itself."""
        return self not in _UNDER_WAY

    @property
    def published(self) -> bool:
        """Tell whether the fit has become a version that was, or is, the head."""
        return self in (FitState.PUBLISHED, FitState.SERVED)


_UNDER_WAY = (FitState.QUEUED, FitState.RUNNING, FitState.STORED, FitState.PUBLISHED)


class VersionState(StrEnum):
    """What may be done with a stored version."""

    STORED = "STORED"  # written, not yet decided about
    PUBLISHED = "PUBLISHED"  # is or was the head; rollback may go there
    UNUSED = "UNUSED"  # superseded or rejected: never served
    RETIRED = "RETIRED"  # its bytes go after a grace


class Name(msgspec.Struct, frozen=True):
    """Row `registry`/{name}: which model the name means now."""

    model: ModelUuid
    created_at: str
    created_by: str


class Head(msgspec.Struct, frozen=True):
    """Row `head` of a model: what is served, and the counters that never go back.

    Attributes:
        name: as the user calls the model.
        version: served now; 0 before the first publication.
        previous: served by workers that cannot load `version`; 0 if there is none.
        generation: grows with every move of the head; orders announcements.
        last_version, last_sequence: the last ones given out.
        published_sequence: of the newest fit ever published.
        barrier_sequence: fits accepted up to it ended, for publishing, with a rollback.
        barrier_version: the last version given out before that rollback.
        restored: how often this row was found to be from a restored backup.
        deleted: nothing may change any more.
    """

    name: str
    version: int = 0
    previous: int = 0
    generation: int = 0
    last_version: int = 0
    last_sequence: int = 0
    published_sequence: int = 0
    barrier_sequence: int = 0
    barrier_version: int = 0
    restored: int = 0
    moved_at: str = ""
    deleted: bool = False


class BlobRef(msgspec.Struct, frozen=True):
    """A blob as rows name it."""

    id: BlobId
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, blob: Blob) -> BlobRef:
        """Return the reference to a blob."""
        return cls(blob.id, blob.size_bytes, blob.sha256)

    def blob(self) -> Blob:
        """Return what the store asks for."""
        return Blob(self.id, self.size_bytes, self.sha256)


class FitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for, checked by the edge.

    Attributes:
        values: how many the series has; the values themselves are the payload blob.
        start, frequency: of the time axis, empty where the series has none.
        period: None: to be found from the series.
        min_skill: publish only if 1 - MASE / MASE of the version being served is at least this;
            before there is one, the seasonal naive forecast stands in. None: always publish.
    """

    algorithm: str
    options: dict[str, int | float | str | bool]
    values: int
    start: str = ""
    frequency: str = ""
    period: int | None = None
    min_skill: float | None = None


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Row `fit/{id}`: one accepted request.

    Attributes:
        sequence: order of acceptance within the model; a retry by hand takes a new one.
        attempt: how often it was claimed, ever; every write of an attempt depends on it.
        tries: how often since it was accepted or retried by hand.
        retries: how often it was retried by hand.
        blobs: of the attempts so far, each to be deleted unless a version names it.
        reason: why it is in this state, as a sentence; empty where the state says all.
        version: the number that it was given when it was stored; 0 before.
        digest: of the request, to compare repeats of one idempotency key.
        request_id: of the HTTP request, for the logs of every process that works on it.
    """

    id: FitId
    model: ModelUuid
    name: str
    sequence: int
    state: FitState
    request: FitRequest
    payload: BlobRef
    who: str
    accepted_at: str
    digest: str
    idempotency: str = ""
    request_id: str = ""
    attempt: int = 0
    tries: int = 0
    retries: int = 0
    worker: str = ""
    blobs: tuple[BlobId, ...] = ()
    reason: str = ""
    version: int = 0
    changed_at: str = ""


class Beat(msgspec.Struct, frozen=True):
    """Row `beat/{id}`: moves while a worker is fitting; whoever sees it stand still may claim.

    Attributes:
        attempt: whose beat it is.
        count: grows with each beat.
        progress: 0 to 1.
        doing: what is being done, for people.
    """

    attempt: int
    count: int = 0
    progress: float = 0.0
    doing: str = ""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Row `version/{number}`: the manifest of one stored binary."""

    version: int
    state: VersionState
    fit: FitId
    blob: BlobRef
    algorithm: str
    options: dict[str, int | float | str | bool]
    period: int
    values: int
    start: str
    frequency: str
    who: str
    stored_at: str
    fit_seconds: float
    backtest: Backtest
    published_at: str = ""


class Audit(msgspec.Struct, frozen=True):
    """Row `audit/{generation}`: a move of the head other than a publication.

    Attributes:
        action: "rollback" or "delete", asked for by `who`; or "restored", by nobody.
    """

    action: str
    who: str
    at: str
    from_version: int
    to_version: int


class Deleted(msgspec.Struct, frozen=True):
    """Row `deleted`/{uuid}: a model whose rows and bytes are still to be removed."""

    name: str
    at: str


class Repeat(msgspec.Struct, frozen=True):
    """Row `idem/{hash}`: the fit that an idempotency key stands for."""

    fit: FitId
    digest: str


class OpenFit(msgspec.Struct, frozen=True):
    """Row `open/{bucket}`/{fit}: it may not have ended; the payload is deleted if it never was."""

    payload: BlobId


def model_partition(model: ModelUuid) -> str:
    """Return where the rows of a model stand."""
    return f"model/{model}"


def open_partition(fit: FitId) -> str:
    """Return where a fit's open row stands."""
    return open_partitions()[int(hashlib.sha256(fit.encode()).hexdigest()[:8], 16) % OPEN_BUCKETS]


def open_partitions() -> list[str]:
    """Return all partitions of open fits.

    Example:
        >>> open_partitions()[:2]
        ['open/00', 'open/01']
    """
    return [f"open/{bucket:02}" for bucket in range(OPEN_BUCKETS)]


def fit_key(fit: FitId) -> str:
    """Return a fit's row."""
    return f"fit/{fit}"


def beat_key(fit: FitId) -> str:
    """Return a fit's heartbeat row."""
    return f"beat/{fit}"


def version_key(version: int) -> str:
    """Return a version's row; keys sort as the numbers do."""
    return f"version/{version:012}"


def audit_key(generation: int) -> str:
    """Return the audit row of a move of the head."""
    return f"audit/{generation:012}"


def repeat_key(idempotency: str) -> str:
    """Return the row of an idempotency key."""
    return f"idem/{hashlib.sha256(idempotency.encode()).hexdigest()}"
