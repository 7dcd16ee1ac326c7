"""Models as any worker serves them, read from the store: their project's home is not asked.

Every commit of a project gives its head row another token. So one read of that row after a call has
come tells whether anything known of the project's models is still so, and only if it may not be,
the model's own row is read. What is answered is what the store held after the question was asked,
on whichever worker; so no answer is older than one that was given before it was asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import structlog

from model_api.projects.homes import Homes
from model_api.projects.metrics import RELOADED
from model_api.projects.model_cache import ModelCache
from model_api.projects.sharing import Joined, Shared
from tally.errors import CorruptState, NotFound, TallyError
from tally.ledger.transact import decode
from tally.models.model import Model
from tally.projects.model_records import MODELS, ModelHead, ModelVersion, is_model_id, version_key
from tally.projects.models import no_model
from tally.projects.records import HEAD, Head, project_partition
from tally.store.base import Token
from tally.wire.projects import ProjectUuid

_TRIES = 3  # each finds a version that was retired, or a model deleted, since it looked
_MOST = 10_000  # models that are known, and projects; what is decoded has a bound of its own
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one model.

    Attributes:
        at: the project's commit that it was read at, or one before it.
        row: the state of the model's own row.
        version: the served one.
    """

    at: Token
    row: Token
    version: ModelVersion


@dataclass(slots=True)
class _Project:
    """What is known of one project.

    Attributes:
        confirm: reads the head, after the call; raises `NotFound` where the project is gone.
        reload: loads what is served now of the models that are in memory, as of after the call.
        at: its newest commit when `confirm` was last done.
        models: those that were asked for.
    """

    confirm: Shared
    reload: Shared
    at: Token | None = None
    models: dict[str, _Known] = field(default_factory=dict)


class Served:
    """The models of all projects, as they are served here.

    Args:
        homes: lends the store, and runs what goes on in the background.
        cache: decodes models.
    """

    def __init__(self, homes: Homes, cache: ModelCache) -> None:
        self._homes = homes
        self._store = homes.projects.store
        self._cache = cache
        self._projects: OrderedDict[ProjectUuid, _Project] = OrderedDict()
        self._looking = Joined[ModelVersion | None](homes.start)

    async def current(self, project: ProjectUuid, name: str) -> tuple[ModelVersion, Model]:
        """Return the version of a model that is served, as the store says after the call.

        Raises:
            NotFound: there is no such project.
            Refused: 500, by the documents: there is no such model.
            StoreUnavailable: nobody can tell.
        """
        for _ in range(_TRIES):
            known = self._known(project)
            await known.confirm()
            if not is_model_id(name):
                raise no_model(name)
            version = await self._version(project, known, name)
            try:
                if version is not None:
                    return version, await self._cache.get(project, version)
            except NotFound:
                continue
        raise CorruptState(f"the served version of model [{name}] is gone")

    async def moved(self, project: ProjectUuid) -> None:
        """Load what is served now of those models of a project that are in memory here.

        Whoever asks for one of them next need not wait for that.
        """
        if (known := self._projects.get(project)) is not None:
            await known.reload()

    def _known(self, project: ProjectUuid) -> _Project:
        known = self._projects.get(project)
        if known is None:
            made = known = _Project(
                Shared(lambda: self._confirm(project, made), self._homes.start),
                Shared(lambda: self._reload(project, made), self._homes.start),
            )
            self._projects[project] = made
            while len(self._projects) > _MOST:
                self._projects.popitem(last=False)
        self._projects.move_to_end(project)
        return known

    async def _confirm(self, project: ProjectUuid, known: _Project) -> None:
        row = await self._store.get(project_partition(project), HEAD)
        if row is None or (row.token != known.at and decode(row, Head).deleted):
            self._projects.pop(project, None)
            raise NotFound("there is no such project")
        known.at = row.token

    async def _version(
        self, project: ProjectUuid, known: _Project, name: str
    ) -> ModelVersion | None:
        """Return the served version of a model; None: it was another one a moment ago."""
        at, found = known.at, known.models.get(name)
        assert at is not None
        if found is not None and found.at == at:
            return found.version
        # Whoever asks as of the same commit waits for the same reads.
        key = (project, name, at)
        return await self._looking(key, lambda: self._look(project, known, name, at))

    async def _look(
        self, project: ProjectUuid, known: _Project, name: str, at: Token
    ) -> ModelVersion | None:
        # Fresh, as the commit may still be under way: of what a quorum has not yet, one row can be
        # seen and the next one not, and an old model would be taken for one as of the new commit.
        partition, found = project_partition(project), known.models.get(name)
        row = await self._store.get(partition, MODELS + name, fresh=True)
        if row is None:
            known.models.pop(name, None)
            raise no_model(name)
        if found is not None and found.row == row.token:
            version = found.version
        else:
            key = version_key(name, decode(row, ModelHead).version)
            stored = await self._store.get(partition, key, fresh=True)
            if stored is None:
                return None
            version = decode(stored, ModelVersion)
        known.models[name] = _Known(at, row.token, version)
        if found is None:
            self._make_room(known)
        return version

    async def _reload(self, project: ProjectUuid, known: _Project) -> None:
        for name, found in list(known.models.items()):
            if self._cache.has(project, found.version):
                try:
                    version, _ = await self.current(project, name)
                    RELOADED.inc(version != found.version)
                except TallyError as error:
                    # Whoever asks for it next finds out for himself.
                    _log.debug("model not reloaded", project=project, reason=str(error))
                except Exception as error:
                    # A defect that one model brings up must not end the worker.
                    _log.error("model not reloaded", project=project, exc_info=error)

    def _make_room(self, newest: _Project) -> None:
        """Forget the projects used least recently where too many models are known."""
        count = sum(len(known.models) for known in self._projects.values())
        for project, known in list(self._projects.items()):
            if count <= _MOST:
                return
            if known is not newest:
                count -= len(known.models)
                del self._projects[project]
