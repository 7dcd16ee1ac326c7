"""A peer whose project is partitioned by ward, and what of it may leave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tally.codec.project import decode
from tally.engine.frame import Frame, Numbers, Texts
from tally.engine.options import PARTITION, Options
from tally.engine.project import Project
from tally.federation.messages import SyncInfo
from tally.federation.privacy.reason import Blocked
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import Approved, Local, Snapshot
from tally.federation.statistics import StatisticsRules, local_of

KEY = bytes(range(32))
OPTIONS = Options("partition", {PARTITION: "ward"}, histogram=True)


def rows(
    wards: Sequence[str | None],
    patients: Sequence[object] | None = None,
    **columns: ArrayLike | tuple[str | None, ...],
) -> Frame:
    """Return rows of these wards; columns of texts are categories, others numbers."""
    ids = range(len(wards)) if patients is None else patients
    names, types = ["mrn", "ward"], "PS"
    told: list[Numbers | Texts] = [tuple(map(str, ids)), tuple(wards)]
    for name, column in columns.items():
        names.append(name)
        if isinstance(column, tuple):
            types += "T"
            told.append(column)
        else:
            types += "C"
            told.append(np.asarray(column, float))
    return Frame(tuple(names), types, tuple(told), len(wards))


class Wards:
    """The peer.

    Args:
        hipaa: its rows are those of patients.
    """

    def __init__(self, *, hipaa: bool = False) -> None:
        key = KEY if hipaa else None
        self.rules = StatisticsRules(key, partition="ward")
        self.project = Project.empty(OPTIONS)
        self.record = LocalRecord.empty(hipaa_key=key)
        self.approved: Approved | None = None

    def learn(self, frame: Frame) -> Wards:
        record, draft = self.record.learned(frame, OPTIONS), self.project.draft()
        draft.learn(frame)
        self.record, self.project = record, draft.done()
        return self

    def forget(self, frame: Frame) -> Wards:
        record, draft = self.record.forgot(frame, OPTIONS), self.project.draft()
        draft.forget(frame)
        self.record, self.project = record, draft.done()
        return self

    @property
    def local(self) -> Local:
        """What is shared if the rules let it."""
        return local_of("a" * 32, "1-1", self.project, self.record)

    @property
    def form(self) -> Project:
        """The same, as others read it."""
        return decode(self.local.payload)

    def share(self) -> Blocked | None:
        """Share it, or return why not."""
        local = self.local
        if (why := self.rules.refusal(local, self.approved)) is None:
            info = SyncInfo(0, local.rows, local.attrs, "", "1-1", True, "", ())
            sent = Snapshot(epoch=1, seq=1, digest="", info=info, payload=local.payload)
            self.approved = Approved(sent, local.learned, local.forgotten, local.record)
        return why
