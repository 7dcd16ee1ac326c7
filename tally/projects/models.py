"""The models of one project, as its home knows them: which there are, and what a change writes.

A version is published by one commit that is conditional on the project's head, like everything
that a home writes: a home that was taken over publishes nothing, and a reader sees the old
version or the new one. The bytes come first, under an id that the head has announced.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tally.errors import NotFound
from tally.ids import BlobId
from tally.ledger.records import BlobRef
from tally.ledger.transact import decode, encode, read
from tally.projects.model_records import (
    FLOOR,
    MODELS,
    VERSIONS,
    ModelFloor,
    ModelHead,
    ModelVersion,
)
from tally.projects.records import INLINE_BYTES, project_partition
from tally.store.base import Row, Store, Token, Write
from tally.wire import texts
from tally.wire.projects import ProjectUuid
from tally.wire.status import Refused, StatusCode

MAX_MODELS = 1000
"""Of one project."""
_PAGE = 200

Put = Callable[[bytes], Awaitable[BlobRef]]


@dataclass(frozen=True, slots=True)
class Step:
    """What a change of a project's models writes, and what is so after it.

    Attributes:
        writes: rows.
        heads, versions: by key, as they will be; None: gone.
        floor: as it will be.
        put: the blob that was written for it.
        retired: blobs that no row names after it.
    """

    writes: Sequence[Write]
    heads: Mapping[str, ModelHead | None] = field(default_factory=dict)
    versions: Mapping[str, ModelVersion | None] = field(default_factory=dict)
    floor: ModelFloor | None = None
    put: tuple[BlobId, ...] = ()
    retired: tuple[BlobId, ...] = ()


class Models:
    """All models of one project.

    Args:
        store, project: where they are.
        kept: versions of a model that stay; the served one and the one before it always do.
    """

    def __init__(self, store: Store, project: ProjectUuid, kept: int) -> None:
        self._store = store
        self._partition = project_partition(project)
        self._kept = kept
        self._heads: dict[str, ModelHead] = {}
        self._versions: dict[str, dict[int, ModelVersion]] = {}
        self._floor = ModelFloor()
        self._tokens: dict[str, Token] = {}

    async def load(self) -> None:
        """Read what the store has, in place of what is known."""
        self._heads, self._versions, self._tokens = {}, {}, {}
        floor = await read(self._store, self._partition, FLOOR, ModelFloor, fresh=True)
        self._floor = floor.record or ModelFloor()
        if floor.token is not None:
            self._tokens[FLOOR] = floor.token
        after = ""
        while rows := await self._rows(MODELS, after):
            for row in rows:
                self._heads[row.key.removeprefix(MODELS)] = decode(row, ModelHead)
                self._tokens[row.key] = row.token
            after = rows[-1].key
        after = ""
        while rows := await self._rows(VERSIONS, after):
            for row in rows:
                version = decode(row, ModelVersion)
                self._versions.setdefault(version.id, {})[version.version] = version
                self._tokens[row.key] = row.token
            after = rows[-1].key

    @property
    def names(self) -> list[str]:
        """The models that there are, in order."""
        return sorted(self._heads)

    def head(self, model: str) -> ModelHead:
        """Return which version of a model is served.

        Raises:
            Refused: 500, by the documents: there is no such model.
        """
        found = self._heads.get(model)
        if found is None:
            raise no_model(model)
        return found

    def current(self, model: str) -> ModelVersion:
        """Return the version of a model that is served.

        Raises:
            Refused: 500, by the documents: there is no such model.
        """
        head = self.head(model)
        return self._versions[model][head.version]

    def versions(self, model: str) -> list[ModelVersion]:
        """Return the versions of a model that are kept, oldest first."""
        self.head(model)
        return [version for _, version in sorted(self._versions[model].items())]

    async def data(self, version: ModelVersion) -> bytes:
        """Return a model's bytes.

        Raises:
            NotFound: they are gone: the version was retired, or its model deleted.
        """
        return await model_data(self._store, self._partition, version)

    async def publish(self, made: ModelVersion, data: bytes, put: Put) -> Step:
        """Return what makes a version the served one, once its bytes are where they belong.

        Args:
            made: the version; its number is given here.
            data: the model.
            put: writes a blob under the id that the project's head has announced.

        Raises:
            Refused: the project has too many models.
        """
        head = self._heads.get(made.id)
        if head is None and len(self._heads) >= MAX_MODELS:
            raise Refused(f"The project has {MAX_MODELS} models, which is the most")
        last = head.last if head else self._floor.version
        made = msgspec.structs.replace(made, version=last + 1)
        if len(data) > INLINE_BYTES:
            made = msgspec.structs.replace(made, blob=await put(data))
        becomes = ModelHead(made.version, head.version if head else 0, made.version)
        writes = [
            Write(made.key, None, encode(made)),
            self._write(MODELS + made.id, encode(becomes)),
        ]
        if made.blob is None:
            writes.append(Write(made.bytes_key, None, data))
        old = self._too_many(made.id, becomes)
        for version in old:
            writes += await self._removal(version)
        return Step(
            writes,
            {made.id: becomes},
            {made.key: made, **dict.fromkeys((version.key for version in old), None)},
            put=(made.blob.id,) if made.blob else (),
            retired=_blobs(old),
        )

    async def remove(self, model: str) -> Step:
        """Return what deletes a model with all of its versions.

        Raises:
            Refused: 500, by the documents: there is no such model.
        """
        head, old = self.head(model), self.versions(model)
        floor = ModelFloor(max(self._floor.version, head.last))
        writes = [self._write(MODELS + model, None), self._write(FLOOR, encode(floor))]
        for version in old:
            writes += await self._removal(version)
        gone: dict[str, ModelVersion | None] = dict.fromkeys((one.key for one in old), None)
        return Step(writes, {model: None}, gone, floor, retired=_blobs(old))

    async def roll_back(self, model: str, to: int) -> Step:
        """Return what makes an earlier version the served one again.

        Args:
            model: which.
            to: its version; 0: the one before the served one.

        Raises:
            Refused: 500, there is no such model; 400, no such version of it.
        """
        head = self.head(model)
        target = to or head.previous
        if target not in self._versions[model]:
            known = ", ".join(str(number) for number in sorted(self._versions[model]))
            raise Refused(f"Model [{model}] has no version [{to or 'previous'}]; it has {known}")
        if target == head.version:
            return Step([])
        becomes = ModelHead(target, head.version, head.last)
        return Step([self._write(MODELS + model, encode(becomes))], {model: becomes})

    def committed(self, step: Step, tokens: Mapping[str, Token]) -> None:
        """Follow the commit of a step."""
        for write in step.writes:
            self._tokens.pop(write.key, None)
            if write.key in tokens and write.value is not None:
                self._tokens[write.key] = tokens[write.key]
        for model, head in step.heads.items():
            if head is None:
                del self._heads[model]
                self._versions.pop(model, None)
            else:
                self._heads[model] = head
        for key, version in step.versions.items():
            if version is not None:
                self._versions.setdefault(version.id, {})[version.version] = version
            else:
                model, _, number = key.removeprefix(VERSIONS).rpartition("/")
                self._versions.get(model, {}).pop(int(number), None)
        self._floor = step.floor or self._floor

    def _too_many(self, model: str, head: ModelHead) -> list[ModelVersion]:
        """Return the versions that go when a model has this head; it is not among the known."""
        known = sorted(self._versions.get(model, {}))
        spare = max(0, len(known) + 1 - self._kept)
        going = [n for n in known if n not in (head.version, head.previous)][:spare]
        return [self._versions[model][number] for number in going]

    async def _removal(self, version: ModelVersion) -> list[Write]:
        writes = [self._write(version.key, None)]
        if version.blob is None:
            row = await self._store.get(self._partition, version.bytes_key, fresh=True)
            if row is not None:
                writes.append(Write(row.key, row.token, None))
        return writes

    def _write(self, key: str, value: bytes | None) -> Write:
        return Write(key, self._tokens.get(key), value)

    async def _rows(self, prefix: str, after: str) -> Sequence[Row]:
        return await self._store.scan(self._partition, prefix, after=after, limit=_PAGE, fresh=True)


async def model_data(store: Store, partition: str, version: ModelVersion) -> bytes:
    """Return a model's bytes.

    Raises:
        NotFound: they are gone: the version was retired, or its model deleted.
    """
    if version.blob is not None:
        return await store.get_blob(version.blob.blob())
    row = await store.get(partition, version.bytes_key)
    if row is None:
        raise NotFound(f"version {version.version} of model {version.id} is gone")
    return row.value


async def model_blobs(store: Store, project: ProjectUuid) -> AsyncIterator[BlobId]:
    """Yield the blobs of a project's models."""
    after, partition = "", project_partition(project)
    while rows := await store.scan(partition, VERSIONS, after=after, limit=_PAGE):
        for row in rows:
            if (blob := decode(row, ModelVersion).blob) is not None:
                yield blob.id
        after = rows[-1].key


def no_model(model: str) -> Refused:
    """Return the refusal of a model that is not there."""
    return Refused(texts.no_model(model[:140]), StatusCode.INTERNAL_SERVER_ERROR)


def _blobs(versions: Sequence[ModelVersion]) -> tuple[BlobId, ...]:
    return tuple(version.blob.id for version in versions if version.blob is not None)
