"""A peer with real statistics: it learns the rows of a table, piece by piece."""

from __future__ import annotations

import numpy as np

from tally.codec import project as codec
from tally.engine.frame import Frame
from tally.engine.options import Options
from tally.engine.project import Project
from tally.errors import InvalidInput
from tally.federation import statistics
from tally.federation.contracts.functions import FUNCTIONS, value_of
from tally.federation.effects import Explore, Rebuild
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import Local

PLAIN = Options("cpu")


class StatisticsSite:
    """A peer's projects; see `Home` and `Learner`.

    Args:
        uuid: of the peer, and of its local project.
        frame: the rows that it may learn, in this order and round again.
        least: rows that a change must have.
        hipaa_key: under which its patients are remembered; None without HIPAA rules.
        options: of its local project.

    Attributes:
        federated: the federated project; None before it was built, and after a crash.
    """

    def __init__(
        self,
        uuid: str,
        frame: Frame,
        least: int,
        hipaa_key: bytes | None = None,
        options: Options = PLAIN,
    ) -> None:
        self._uuid = uuid
        self._frame = frame
        self._least = least
        self._held: list[int] = []
        self._waiting = list(range(frame.rows))
        self._project = Project.empty(options)
        self._record = LocalRecord.empty(hipaa_key=hipaa_key)
        self._changes = 0
        self._local: Local | None = None
        self.federated: Project | None = None

    @property
    def rows(self) -> int:
        """How many the local project counts."""
        return len(self._held)

    def learn(self, count: int) -> None:
        """Learn the next rows, as far as there are any."""
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._held += taken
        frame = self._rows(taken)
        draft = self._project.draft()
        draft.learn(frame)
        self._record = self._record.learned(frame, self._project.options)
        self._changed(draft.done())

    def forget(self, count: int) -> None:
        """Forget the oldest rows; they may be learned again, after the others."""
        gone, self._held = self._held[:count], self._held[count:]
        self._waiting += gone
        frame = self._rows(gone)
        draft = self._project.draft()
        draft.forget(frame)
        self._record = self._record.forgot(frame, self._project.options)
        self._changed(draft.done())

    def finish(self) -> None:
        """Learn all that is left, by changes that are large enough to be shared."""
        self.learn(max(0, self._least - self.rows))
        self.forget(self._least)
        self.learn(len(self._waiting))

    def crash(self) -> None:
        """Lose what is only in memory."""
        self.federated = None

    async def freeze(self) -> Local:
        """See `Home`."""
        if self._local is None:
            version = f"1-{self._changes}"
            self._local = statistics.local_of(self._uuid, version, self._project, self._record)
        return self._local

    async def rebuild(self, parts: Rebuild) -> str:
        """See `Home`."""
        self.federated = statistics.merged(parts.contributions).project
        return f"#peers:{parts.remote_peers}"

    async def explore(self, question: Explore) -> object:
        """See `Home`; a metric is a function of contracts."""
        features = tuple(map(str, question.context.get("features", ())))
        function = FUNCTIONS.get(question.metric)
        if function is None or len(features) != len(function.arguments):
            raise InvalidInput("metric", f"[{question.metric}] of {list(features)} is unknown")
        summary = codec.decode(question.snapshot.payload).summary
        return value_of(question.metric, features, summary)

    def _rows(self, indexes: list[int]) -> Frame:
        kept = np.zeros(self._frame.rows, np.bool_)
        kept[indexes] = True
        return self._frame.take(kept)

    def _changed(self, project: Project) -> None:
        self._project, self._local = project, None
        self._changes += 1
