"""What may be asked of a project that changes it, each as one step on a draft."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from model_api.federation.state import Federated
from model_api.fusion.state import Fused
from tally.codec.frame import decode as decode_frame
from tally.codec.frame.limits import Limits
from tally.codec.project import decode as decode_project
from tally.engine.frame import Frame
from tally.engine.project_draft import ProjectDraft
from tally.errors import InvalidInput, TooLarge
from tally.federation.privacy.record import LocalRecord
from tally.projects.records import Batch, Use
from tally.wire import texts
from tally.wire.status import Refused, StatusCode

_LOGGED = 200  # columns of a frame that its log names


@dataclass
class Draft:
    """A project being changed: its state, and what its head says of it.

    Attributes:
        state: the statistics.
        frozen, persisted, pid: as in the head.
        fused: of a fusion project, whose statistics are those of its cells; None: of another.
        federated: of a federated project, where `state` is what was learned here; None: of another.
        counts: what was learned here is counted otherwise now.
        sharded: its shards have the statistics.
        fence: of a shard: the sum by which rows may be forgotten; None: it is none.
        learned: rows were added, taken away or merged.
        changed: so that the state must be saved.
        save: asked for, whatever the project's options say.
        uses: calls of learn and forget, for their log.
    """

    state: ProjectDraft
    frozen: bool
    persisted: bool
    pid: str
    fused: Fused | None = None
    federated: Federated | None = None
    counts: bool = False
    sharded: bool = False
    fence: int | None = None
    learned: bool = False
    changed: bool = False
    save: bool = False
    uses: list[Use] = field(default_factory=list)

    def check_thawed(self) -> None:
        """Raise `Refused` if the project takes no rows: it is frozen, or its shards have them."""
        if self.sharded:
            raise Refused(f"The cells of project [{self.pid}] learn its rows")
        if self.frozen:
            raise Refused(texts.frozen(self.pid))


class Change(Protocol):
    """One step. It is taken whole or, if it raises, not at all."""

    @property
    def size_bytes(self) -> int:
        """How much memory it holds while it waits."""
        ...

    def digest(self) -> str:
        """Return what tells it from another change with the same id."""
        ...

    def apply(self, draft: Draft) -> None:
        """Take the step.

        Raises:
            TallyError: why not.
        """
        ...


@dataclass(frozen=True, slots=True)
class Feed:
    """Rows to learn or to forget, in the client's bytes.

    Attributes:
        op: `learn` or `forget`.
        body, media_type, content_encoding, query: as received.
        client: who sent them, for the log.
        limits: of the rows.
        lenient: a cell that cannot be read is missing, whatever the body says.
        fence: by which sum of a shard's project it was found that it can be made.
    """

    op: str
    body: bytes
    media_type: str
    content_encoding: str
    query: Mapping[str, str]
    client: str
    limits: Limits
    lenient: bool = False
    fence: int | None = None

    @property
    def size_bytes(self) -> int:
        """Of the body as received."""
        return len(self.body)

    def digest(self) -> str:
        """Return what tells it from other rows."""
        query = sorted(self.query.items())
        return _digest(f"{self.op} {self.media_type} {self.content_encoding} {query}", self.body)

    def apply(self, draft: Draft) -> None:
        """Decode the rows by what the project knows by now, and count them."""
        draft.check_thawed()
        if self.op == "forget" and draft.fence is not None and self.fence != draft.fence:
            text = "The rows are to be forgotten by an older sum of all cells"
            raise Refused(text, StatusCode.CONFLICT)
        began = time.monotonic()
        frame = None
        try:
            frame = decode_frame(
                self.body,
                media_type=self.media_type,
                content_encoding=self.content_encoding,
                query=self.query,
                known=draft.state.known_types,
                limits=self.limits,
                lenient=self.lenient,
            )
            record = self._recorded(draft, frame)
            step = draft.state.learn if self.op == "learn" else draft.state.forget
            step(frame)
        except TooLarge as error:
            self._note(draft, frame, began, StatusCode.REQUEST_ENTITY_TOO_LARGE)
            text = texts.bad_frame(str(error))
            raise Refused(text, StatusCode.REQUEST_ENTITY_TOO_LARGE) from error
        except InvalidInput as error:
            self._note(draft, frame, began, StatusCode.BAD_REQUEST)
            raise Refused(texts.bad_frame(str(error))) from error
        self._note(draft, frame, began, StatusCode.OK)
        if draft.federated is not None and record is not None:
            draft.federated = replace(draft.federated, record=record)
        draft.learned = draft.counts = draft.changed = True

    def _recorded(self, draft: Draft, frame: Frame) -> LocalRecord | None:
        """Return what the privacy rules of a federation will know once the rows count."""
        if draft.federated is None:
            return None
        record, options = draft.federated.record, draft.federated.local.options
        note = record.learned if self.op == "learn" else record.forgot
        return note(frame, options)

    def _note(self, draft: Draft, frame: Frame | None, began: float, status: StatusCode) -> None:
        use = Use(
            client=self.client,
            op=self.op,
            status=status,
            names=frame.names[:_LOGGED] if frame else (),
            types=frame.types[:_LOGGED] if frame else "",
            count=1,
            rows=frame.rows if frame else 0,
            process_ms=round(1000 * (time.monotonic() - began)),
        )
        draft.uses.append(use)


@dataclass(frozen=True, slots=True)
class Merge:
    """Another project's statistics to be added.

    Attributes:
        data: its snapshot.
        other: which project that is.
    """

    data: bytes
    other: str

    @property
    def size_bytes(self) -> int:
        """Of the other snapshot."""
        return len(self.data)

    def digest(self) -> str:
        """Return what tells it from another merge.

        The other project may have learned between two tries of one merge, so its bytes do not
        tell.
        """
        return _digest(f"merge {self.other}")

    def apply(self, draft: Draft) -> None:
        """Add them."""
        draft.check_thawed()
        try:
            draft.state.merge(decode_project(self.data))
        except InvalidInput as error:
            raise Refused(str(error)) from error
        draft.learned = draft.changed = True


@dataclass(frozen=True, slots=True)
class Setting:
    """A change of what a project is, not of what it knows."""

    @property
    def size_bytes(self) -> int:
        """Next to nothing."""
        return 0

    def digest(self) -> str:
        """Return what tells it from another setting."""
        return _digest(repr(self))


@dataclass(frozen=True, slots=True)
class Freeze(Setting):
    """No more rows, or rows again."""

    frozen: bool

    def apply(self, draft: Draft) -> None:
        """Set it."""
        draft.frozen = self.frozen


@dataclass(frozen=True, slots=True)
class Histograms(Setting):
    """Values are counted from now on, or their counts are dropped."""

    enabled: bool

    def apply(self, draft: Draft) -> None:
        """Set it."""
        if draft.fused is not None:
            draft.fused = draft.fused.with_histogram(self.enabled)
        else:
            draft.state.set_histogram(self.enabled)
        if draft.federated is not None and not self.enabled:
            draft.federated = draft.federated.without_histograms()
        draft.counts = draft.changed = True


@dataclass(frozen=True, slots=True)
class Save(Setting):
    """What is in memory only goes to the store, and the project with it."""

    def apply(self, draft: Draft) -> None:
        """Ask for it."""
        draft.save = draft.persisted = True


@dataclass(frozen=True, slots=True)
class Rename(Setting):
    """The name, which the partition of names has decided already."""

    pid: str

    def apply(self, draft: Draft) -> None:
        """Set it."""
        draft.pid = self.pid


@dataclass(frozen=True, slots=True)
class Delete(Setting):
    """The end of the project; nothing comes after it."""

    def apply(self, draft: Draft) -> None:
        """Do nothing: the home ends it."""


@dataclass(frozen=True, slots=True)
class Unload(Setting):
    """The end of the project's copy in memory; what comes after it loads the project again."""

    def apply(self, draft: Draft) -> None:
        """Do nothing: the home ends it."""


def batch(id_: str, change: Change) -> Batch:
    """Return how a request is remembered."""
    return Batch(id_, change.digest())


def _digest(kind: str, body: bytes = b"") -> str:
    hashed = hashlib.sha256(kind.encode())
    hashed.update(b"\n")
    hashed.update(body)
    return hashed.hexdigest()
