"""A federated project without a federation: what its peer would save is made up."""

from __future__ import annotations

import random

import msgspec
import numpy as np

from model_api.federation.changes import Begin, Rebuilt, Stepped
from model_api.federation.secrets import Secrets, reader
from model_api.federation.state import Federated
from model_api.federation.stored import whole
from model_api.projects.homes import Homes
from tally.engine.frame import Frame
from tally.engine.options import Options as EngineOptions
from tally.engine.project import Project
from tally.federation.privacy.record import LocalRecord
from tally.federation.state import digest_of
from tally.federation.terms import created_terms
from tally.fusion.merging import merge
from tally.fusion.sources import Contribution
from tally.ids import NodeId
from tally.master_key import MasterKey
from tally.projects.federated import FEDERATED
from tally.projects.projects import new_project_uuid
from tally.projects.records import INLINE_BYTES, Options
from tally.wire.projects import ProjectUuid

MASTER = MasterKey(bytes(range(32)))
SMALL, LARGE = 1000, INLINE_BYTES + 1


def noise(seed: int, size: int) -> bytes:
    """Return bytes as statistics are: no two alike."""
    return random.Random(seed).randbytes(size)


def learned(attributes: int, seed: int = 1) -> Project:
    """Return a project of so many continuous attributes; from 70 on it is no row but a blob."""
    draft = Project.empty(EngineOptions()).draft()
    columns = np.random.default_rng(seed).normal(size=(attributes, 3))
    names = tuple(f"x{number}" for number in range(attributes))
    draft.learn(Frame(names, "C" * attributes, tuple(columns), 3))
    return draft.done()


def peer(*statistics: bytes, **more: object) -> Stepped:
    """Return a step of the protocol after which the peer holds these statistics, and no others."""
    blobs = {digest_of(data): data for data in statistics}
    digests = {f"accepted/{place}": digest for place, digest in enumerate(blobs)}
    settings = {"uuid": "a", "admin": "a"}
    state = {"settings": settings, "node": "IDLE", "errors": {"entries": []}, **more}
    record = {"format": 1, "digests": digests, "state": state}
    return Stepped(msgspec.json.encode(record), blobs)


def rebuilt(attributes: int, seed: int = 2) -> Rebuilt:
    """Return a federated view of so many attributes."""
    return Rebuilt(merge([Contribution.of("a", "1-1", learned(attributes, seed))]))


async def federated(
    homes: Homes, local: Project | None = None, *, persisted: bool = True
) -> ProjectUuid:
    """Return a federated project that is at home here."""
    homes.read_federated(reader(MASTER))
    project = new_project_uuid()
    given = {"fed_name": "f", "sync_sched": "m5", "nats_hosts": "nats://n"}
    secrets = Secrets.new(created_terms({**given, "fed_enforce_hipaa_compliance": "false"}))
    state = Federated(
        secrets=secrets.sealed(MASTER, project),
        local=local or Project.empty(EngineOptions()),
        record=LocalRecord.empty(hipaa_key=None),
        peer=peer().record,
    )
    options = Options(kind=FEDERATED)
    await homes.projects.create(
        "c1",
        "p",
        options,
        project=project,
        persisted=persisted,
        snapshot=whole(state) if persisted else None,
    )
    if not persisted:
        await homes.change(project, Begin(state), "")
    return project


async def told(homes: Homes, project: ProjectUuid, *suspects: str) -> bytes:
    """Return all that a home knows of a federated project."""
    homes.read_federated(reader(MASTER))
    home = await homes.ask(project, {NodeId(suspect) for suspect in suspects})
    assert home.federated is not None
    return whole(home.federated)
