"""Writes the golden state of a federated project if it is missing.

Run `python -m tests.golden.write_federated`. A file that exists is never written again; a new
format of the stored bytes adds files of its own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model_api.federation.state import Federated
from model_api.federation.stored import FORMAT_VERSION, whole
from tally.engine.frame import Frame
from tally.engine.options import Options
from tally.engine.project import Project
from tally.federation import persistence
from tally.federation.keys import Identity
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import Settings, created, digest_of
from tally.fusion.merging import merge
from tally.fusion.sources import Contribution
from tally.master_key import Sealed

HERE = Path(__file__).parent
UUID = "a" * 32
HIPAA_KEY = bytes(range(32))


def federated() -> Federated:
    """Return a peer that has learned 3 rows of 2 patients, and a view of 5 rows of 2 peers."""
    frame = Frame(("mrn", "x"), "PC", (("17", "17", "4"), np.array([1.0, 2.0, 4.0])), 3)
    local = _learned(frame)
    other = _learned(Frame(("x",), "C", (np.array([8.0, 16.0]),), 2))
    parts = [Contribution.of(UUID, "1-1", local), Contribution.of("b" * 32, "2-1", other)]
    identity = Identity(UUID, bytes(32))
    settings = Settings(
        uuid=UUID, name="m1", federation="f", admin=UUID, admin_public=identity.public
    )
    record, blobs = persistence.dump(created(settings, sync_sched="m5", now_ms=1_767_225_600_000))
    shared = b"a snapshot"
    record = record.replace(
        b'"digests":{', b'"digests":{"accepted/b":"%s"' % digest_of(shared).encode()
    )
    state = Federated(
        secrets=Sealed("0" * 16, bytes(range(44))),
        local=local,
        record=LocalRecord.empty(hipaa_key=HIPAA_KEY).learned(frame, Options()),
        peer=record,
        blobs={**blobs, digest_of(shared): shared},
    )
    return state.with_view(merge(parts))


def _learned(frame: Frame) -> Project:
    draft = Project.empty(Options()).draft()
    draft.learn(frame)
    return draft.done()


if __name__ == "__main__":
    path = HERE / f"peer.v{FORMAT_VERSION}.federated"
    if not path.exists():
        path.write_bytes(whole(federated()))
