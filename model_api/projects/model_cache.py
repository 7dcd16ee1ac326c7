"""Models as they answer: decoded once, and kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

from model_api.projects.home import Home
from model_api.projects.homes import Homes
from model_api.projects.sharing import Joined
from tally.codec.model import decode
from tally.errors import CorruptState, NotFound
from tally.models.model import Model
from tally.projects.model_records import ModelVersion, unpack_model
from tally.projects.models import model_data
from tally.projects.records import project_partition
from tally.wire.projects import ProjectUuid

_TRIES = 3
T = TypeVar("T")
_Key = tuple[ProjectUuid, ModelVersion]


class ModelCache:
    """Gives the model behind a version.

    Args:
        homes: whose models.
    """

    def __init__(self, homes: Homes) -> None:
        self._homes = homes
        self._kept: OrderedDict[_Key, tuple[Model, int]] = OrderedDict()
        self._kept_bytes = 0
        self._loading = Joined[Model](homes.start)

    async def current(self, home: Home, name: str) -> tuple[ModelVersion, Model]:
        """Return the served version of a model, with the model.

        Raises:
            Refused: 500, by the documents: there is no such model.
        """
        return await self._served(home, name, lambda version: self.get(home.held.project, version))

    async def stored(self, home: Home, name: str) -> tuple[ModelVersion, bytes]:
        """Return the served version of a model, with what is stored of it.

        Raises:
            Refused: 500, by the documents: there is no such model.
        """
        return await self._served(home, name, home.models.data)

    async def _served(
        self, home: Home, name: str, fetch: Callable[[ModelVersion], Awaitable[T]]
    ) -> tuple[ModelVersion, T]:
        for _ in range(_TRIES):
            version = home.models.current(name)
            try:
                return version, await fetch(version)
            except NotFound:
                # Retired, or deleted, since we looked; or the project is at home elsewhere by now.
                await home.confirm()
        raise CorruptState(f"version {version.version} of model [{name}] is gone")

    def has(self, project: ProjectUuid, version: ModelVersion) -> bool:
        """Tell whether a version is in memory."""
        return (project, version) in self._kept

    async def get(self, project: ProjectUuid, version: ModelVersion) -> Model:
        """Return the model behind a version, which never changes.

        Raises:
            NotFound: it is gone.
        """
        # The whole record: in a store that was restored, a number may mean another model.
        key = (project, version)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        return await self._loading(key, lambda: self._load(key))

    async def _load(self, key: _Key) -> Model:
        project, version = key
        stored = await model_data(self._homes.projects.store, project_partition(project), version)
        _, data = unpack_model(stored)
        model = await self._homes.threads.run(decode, data)
        self._kept[key] = (model, version.size_bytes)
        self._kept_bytes += version.size_bytes
        while self._kept_bytes > self._homes.limits.model_bytes and len(self._kept) > 1:
            _, (_, size_bytes) = self._kept.popitem(last=False)
            self._kept_bytes -= size_bytes
        return model
