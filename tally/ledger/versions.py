"""The versions of a model: which is served, which are kept, and going back to one."""

from __future__ import annotations

import msgspec

from tally.clock import Clock
from tally.errors import Conflict, NotFound
from tally.ids import ModelUuid
from tally.ledger.names import Names
from tally.ledger.records import (
    DELETED,
    HEAD,
    Audit,
    Deleted,
    Fit,
    FitState,
    Head,
    Version,
    VersionState,
    audit_key,
    beat_key,
    fit_key,
    model_partition,
    repeat_key,
    version_key,
)
from tally.ledger.transact import Plan, Read, decode, read, transact
from tally.store.base import Store


class Versions:
    """Heads and manifests."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._names = Names(store, clock)

    async def head(self, model: ModelUuid) -> Head | None:
        """Return the head of a model, None before its first fit was accepted."""
        return (await self._head(model, fresh=False)).record

    async def get(self, model: ModelUuid, version: int) -> Version:
        """Return a manifest.

        Raises:
            NotFound: there is no such version.
        """
        row = await self._version(model, version, fresh=False)
        if row.record is None:
            raise NotFound(f"there is no version {version} of this model")
        return row.record

    async def history(self, model: ModelUuid) -> list[Version]:
        """Return all manifests of a model, newest first."""
        versions: list[Version] = []
        after = ""
        while rows := await self._store.scan(
            model_partition(model), "version/", after=after, limit=500
        ):
            versions += [decode(row, Version) for row in rows]
            after = rows[-1].key
        return versions[::-1]

    async def audits(self, model: ModelUuid) -> list[Audit]:
        """Return what people did to the head, newest first."""
        rows = await self._store.scan(model_partition(model), "audit/")
        return [decode(row, Audit) for row in rows][::-1]

    async def rollback(self, model: ModelUuid, to: int, who: str) -> Head:
        """Serve an earlier published version again.

        Fits accepted before this moment will not replace it.

        Raises:
            NotFound: there is no such version.
            Conflict: it is being served, was never published, or is retired.
        """

        async def plan(fresh: bool) -> Plan[Head]:
            head = await self._head(model, fresh)
            row = await self._version(model, to, fresh)
            if head.record is None or head.record.deleted:
                raise NotFound("the model was deleted")
            if row.record is None:
                raise NotFound(f"there is no version {to} of model {head.record.name!r}")
            if row.record.state is not VersionState.PUBLISHED:
                raise Conflict(f"version {to} is {row.record.state} and cannot be served")
            known = head.record
            if known.version == to:
                if fresh and known.generation:
                    return Plan(known)  # our own commit, or the same rollback by another
                raise Conflict(f"version {to} is being served already")
            now = self._clock.now().isoformat(timespec="milliseconds")
            moved = msgspec.structs.replace(
                known,
                version=to,
                previous=known.version,
                generation=known.generation + 1,
                barrier_sequence=known.last_sequence,
                barrier_version=known.last_version,
                moved_at=now,
            )
            audit = Audit("rollback", who, now, known.version, to)
            return Plan(
                moved,
                [
                    head.write(moved),
                    # Written though unchanged: a retirement that read it earlier now fails.
                    row.write(row.record),
                    Read(audit_key(moved.generation), None, None).write(audit),
                ],
            )

        return await transact(self._store, model_partition(model), plan)

    async def outlive(
        self, model: ModelUuid, *, generation: int, moved_at: str, last_version: int
    ) -> Head | None:
        """Lift a head above one that was announced, if the store does not know of that.

        Announcements follow their commit. So where a fresh read finds less than was announced,
        the store was restored from a backup, and what was done since then is lost.

        Args:
            model: which.
            generation, moved_at: of the announcement; "" where the moment is not known.
            last_version: the highest number known to have been given out; none up to it is given
                out again.

        Returns:
            The head as it is now, lifted or not; None if there is none.
        """

        async def plan(_: bool) -> Plan[Head | None]:
            head = await self._head(model, fresh=True)
            known = head.record
            if known is None or known.deleted or known.generation > generation:
                return Plan(known)
            if known.generation == generation and moved_at in ("", known.moved_at):
                return Plan(known)
            now = self._clock.now().isoformat(timespec="milliseconds")
            lifted = msgspec.structs.replace(
                known,
                generation=generation + 1,
                last_version=max(known.last_version, last_version),
                restored=known.restored + 1,
                moved_at=now,
            )
            audit = Audit("restored", "", now, known.version, known.version)
            row: Read[Audit] = Read(audit_key(lifted.generation), None, None)
            return Plan(lifted, [head.write(lifted), row.write(audit)])

        return await transact(self._store, model_partition(model), plan)

    async def delete(self, name: str, who: str) -> ModelUuid:
        """Delete a model; the name may be used again at once, for another model.

        Raises:
            NotFound: there is no such model.
        """
        model = await self._names.find(name)
        # First, so that whatever happens next the rows of the model are found and removed.
        await self._mark_deleted(model, name)

        async def plan(fresh: bool) -> Plan[None]:
            head = await self._head(model, fresh)
            known = head.record or Head(name)
            if known.deleted:
                return Plan(None)
            now = self._clock.now().isoformat(timespec="milliseconds")
            dead = msgspec.structs.replace(
                known, deleted=True, generation=known.generation + 1, moved_at=now
            )
            audit = Audit("delete", who, now, known.version, 0)
            row: Read[Audit] = Read(audit_key(dead.generation), None, None)
            return Plan(None, [head.write(dead), row.write(audit)])

        await transact(self._store, model_partition(model), plan)
        await self._names.release(name, model)
        return model

    async def _mark_deleted(self, model: ModelUuid, name: str) -> None:
        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, DELETED, model, Deleted, fresh=fresh)
            if row.record is not None:
                return Plan(None)
            return Plan(None, [row.write(Deleted(name, self._clock.now().isoformat()))])

        await transact(self._store, DELETED, plan)

    async def deleted(self) -> list[tuple[ModelUuid, str]]:
        """Return models that were deleted and whose rows may still be there, with their names."""
        rows = await self._store.scan(DELETED)
        return [(ModelUuid(row.key), decode(row, Deleted).name) for row in rows]

    async def retire(self, model: ModelUuid, keep: int) -> list[Version]:
        """Retire versions beyond the newest `keep`, never the head or the previous one.

        Published versions and those that were never served are counted apart, so that fits
        which were refused push out nothing that a rollback could go to.

        Returns:
            All retired versions, those of earlier calls included: their bytes go after a grace,
            by `remove`.
        """
        head = await self.head(model)
        if head is None:
            return []
        versions = await self.history(model)
        kept = 0 if head.deleted else keep
        for state in (VersionState.PUBLISHED, VersionState.UNUSED):
            for version in [v for v in versions if v.state is state][kept:]:
                await self._retire(model, version.version)
        return [v for v in await self.history(model) if v.state is VersionState.RETIRED]

    async def _retire(self, model: ModelUuid, version: int) -> None:
        async def plan(fresh: bool) -> Plan[None]:
            head = await self._head(model, fresh)
            row = await self._version(model, version, fresh)
            if head.record is None or row.record is None:
                return Plan(None)
            if row.record.state not in (VersionState.PUBLISHED, VersionState.UNUSED):
                return Plan(None)
            pinned = (head.record.version, head.record.previous)
            if version in pinned and not head.record.deleted:
                return Plan(None)
            retired = msgspec.structs.replace(row.record, state=VersionState.RETIRED)
            return Plan(None, [row.write(retired)], [head.check()])

        await transact(self._store, model_partition(model), plan)

    async def remove(self, model: ModelUuid, version: Version) -> None:
        """Delete the bytes and the row of a retired version; safe to repeat."""
        await self._store.delete_blob(version.blob.id)

        async def plan(fresh: bool) -> Plan[None]:
            row = await self._version(model, version.version, fresh)
            if row.record is None or row.record.state is not VersionState.RETIRED:
                return Plan(None)
            return Plan(None, [row.write(None)])

        await transact(self._store, model_partition(model), plan)

    async def prune_fits(self, model: ModelUuid, keep: int) -> int:
        """Delete the rows of ended fits beyond the newest `keep`; return how many went.

        The row of a fit whose version still stands is kept with it. An abandoned one stays as
        long as its model: without it, a broker that was stopped all the while could go on and
        make a fit that no open entry leads to.
        """
        partition = model_partition(model)
        fits: list[Fit] = []
        after = ""
        while rows := await self._store.scan(partition, "fit/", after=after, limit=500):
            fits += [decode(row, Fit) for row in rows]
            after = rows[-1].key
        standing = {version.fit for version in await self.history(model)}
        head = await self.head(model)
        if head is not None and not head.deleted:
            fits = [fit for fit in fits if fit.state is not FitState.ABANDONED]
        # Published ones end when a worker serves them or another takes their place; here neither.
        ended = [
            fit
            for fit in fits
            if (fit.state.ended or fit.state.published) and fit.id not in standing
        ]
        ended.sort(key=lambda fit: fit.sequence, reverse=True)
        gone = 0
        for fit in ended[keep:]:
            for blob in fit.blobs:  # of attempts that nobody has cleaned up after yet
                await self._store.delete_blob(blob)
            if await self._forget(model, fit):
                gone += 1
                if fit.payload.id:
                    await self._store.delete_blob(fit.payload.id)
        return gone

    async def _forget(self, model: ModelUuid, fit: Fit) -> bool:
        """Delete the rows of an ended fit, unless it was queued again; tell whether they went."""
        partition = model_partition(model)

        async def plan(fresh: bool) -> Plan[bool]:
            row = await read(self._store, partition, fit_key(fit.id), Fit, fresh=fresh)
            if row.record is None:
                return Plan(True)
            if (row.record.state, row.record.sequence) != (fit.state, fit.sequence):
                return Plan(False)
            keys = [beat_key(fit.id)]
            if fit.idempotency:
                keys.append(repeat_key(fit.idempotency))
            others = [await self._store.get(partition, key, fresh=fresh) for key in keys]
            tokens = {other.key: other.token for other in others if other}
            return Plan(
                True,
                [row.write(None), *(Read(k, None, t).write(None) for k, t in tokens.items())],
            )

        return await transact(self._store, partition, plan)

    async def forget_model(self, model: ModelUuid) -> None:
        """Take a deleted model, whose versions and fits are gone, off the list of `deleted`."""

        async def plan(fresh: bool) -> Plan[None]:
            row = await read(self._store, DELETED, model, Deleted, fresh=fresh)
            return Plan(None, [row.write(None)] if row.record else ())

        await transact(self._store, DELETED, plan)

    async def _head(self, model: ModelUuid, fresh: bool) -> Read[Head]:
        return await read(self._store, model_partition(model), HEAD, Head, fresh=fresh)

    async def _version(self, model: ModelUuid, version: int, fresh: bool) -> Read[Version]:
        key = version_key(version)
        return await read(self._store, model_partition(model), key, Version, fresh=fresh)
