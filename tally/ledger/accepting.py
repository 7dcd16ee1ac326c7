"""How a fit comes to be asked for: accepted, cancelled, retried, or given up before it was one."""

from __future__ import annotations

import hashlib

import msgspec

from tally.clock import Clock
from tally.errors import Conflict, IdempotencyMismatch, NotFound
from tally.ids import BlobId, FitId, ModelUuid, model_of, new_blob_id, new_fit_id
from tally.ledger.fit_rows import FitRows
from tally.ledger.names import Names
from tally.ledger.records import (
    Beat,
    BlobRef,
    Fit,
    FitRequest,
    FitState,
    Head,
    Repeat,
    beat_key,
    model_partition,
    repeat_key,
)
from tally.ledger.transact import Plan, read, transact
from tally.store.base import Store

_ROUNDS = 8  # each of which somebody spoils by deleting the model, or by giving us up as dead


class Accepting(FitRows):
    """The moves that people ask for."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(store, clock)
        self._names = Names(store, clock)

    async def accept(
        self,
        name: str,
        request: FitRequest,
        payload: bytes,
        *,
        who: str,
        idempotency: str = "",
        request_id: str = "",
    ) -> Fit:
        """Write a request down; once this returns it will end, whatever dies.

        Args:
            name: the model, made if there is none.
            request: checked by the caller.
            payload: the series' values as `tally.codec.series` packs them.
            who: on whose behalf.
            idempotency: the client's key; the same key means the same fit.
            request_id: for the logs.

        Raises:
            IdempotencyMismatch: the key was used with another request.
            Conflict: the model is deleted each time that this fit is about to be accepted.
        """
        digest = hashlib.sha256(payload + msgspec.json.encode(request, order="sorted")).hexdigest()
        for _ in range(_ROUNDS):
            model = await self._names.claim(name, who)
            if known := await self._repeat(model, idempotency, digest):
                return known
            fit_id, blob_id = new_fit_id(model), new_blob_id()
            await self.open.add(fit_id, blob_id)
            blob = await self._store.put_blob(blob_id, payload)
            fit = Fit(
                id=fit_id,
                model=model,
                name=name,
                sequence=0,
                state=FitState.QUEUED,
                request=request,
                payload=BlobRef.of(blob),
                who=who,
                accepted_at=self._now(),
                digest=digest,
                idempotency=idempotency,
                request_id=request_id,
                changed_at=self._now(),
            )
            accepted = await self._insert(fit)
            if accepted is not None and accepted.id == fit_id:
                return accepted
            # A twin with the same key was quicker, the model was deleted meanwhile, or we were so
            # slow that the reconciler gave us up: nothing of this try may stay.
            await self.abandon(fit_id)
            await self._store.delete_blob(blob_id)
            await self.open.remove(fit_id)
            if accepted is not None:
                return accepted
            head = await self._head(model, fresh=True)
            if head.record is not None and head.record.deleted:
                await self._names.release(name, model)
        raise Conflict(f"model {name!r} is being deleted again and again: try again later")

    async def _insert(self, fit: Fit) -> Fit | None:
        """Commit a new fit; return it, or its twin, or None if the model is deleted."""
        partition = model_partition(fit.model)

        async def plan(fresh: bool) -> Plan[Fit | None]:
            row = await self._fit(fit.id, fresh)
            if row.record is not None:  # our own commit, or somebody gave up on us
                return Plan(row.record if row.record.state is not FitState.ABANDONED else None)
            head = await self._head(fit.model, fresh)
            known = head.record or Head(fit.name)
            if known.deleted:
                return Plan(None)
            writes = []
            if fit.idempotency:
                key = repeat_key(fit.idempotency)
                repeat = await read(self._store, partition, key, Repeat, fresh=fresh)
                if repeat.record is not None:
                    return Plan(await self._same(repeat.record, fit.digest, fit.idempotency))
                writes.append(repeat.write(Repeat(fit.id, fit.digest)))
            sequence = known.last_sequence + 1
            accepted = msgspec.structs.replace(fit, sequence=sequence)
            writes.append(head.write(msgspec.structs.replace(known, last_sequence=sequence)))
            writes.append(row.write(accepted))
            return Plan(accepted, writes)

        return await transact(self._store, partition, plan)

    async def _repeat(self, model: ModelUuid, idempotency: str, digest: str) -> Fit | None:
        if not idempotency:
            return None
        partition = model_partition(model)
        repeat = await read(self._store, partition, repeat_key(idempotency), Repeat)
        if repeat.record is None:
            return None
        return await self._same(repeat.record, digest, idempotency)

    async def _same(self, repeat: Repeat, digest: str, idempotency: str) -> Fit:
        if repeat.digest != digest:
            raise IdempotencyMismatch(
                f"Idempotency-Key {idempotency!r} was used for another request (fit {repeat.fit})"
            )
        return await self.get(repeat.fit)

    async def cancel(self, fit: FitId, who: str) -> Fit:
        """End a fit that has not been stored yet.

        Raises:
            Conflict: it is stored or has ended.
        """
        partition = model_partition(model_of(fit))

        async def plan(fresh: bool) -> Plan[Fit]:
            row = await self._fit(fit, fresh)
            known = row.record
            if known is None or known.state is FitState.ABANDONED:
                raise NotFound(f"there is no fit {fit!r}")
            if known.state is FitState.CANCELLED:
                return Plan(known)
            if known.state not in (FitState.QUEUED, FitState.RUNNING):
                raise Conflict(f"fit {fit} is {known.state} and cannot be cancelled")
            cancelled = self._moved(known, FitState.CANCELLED, reason=f"cancelled by {who}")
            # Without its heartbeat row the worker finds out at the next beat, and stops.
            beat = await read(self._store, partition, beat_key(fit), Beat, fresh=fresh)
            gone = [beat.write(None)] if beat.record is not None else []
            return Plan(cancelled, [row.write(cancelled), *gone])

        return await transact(self._store, partition, plan)

    async def retry(self, fit: FitId) -> Fit:
        """Queue a failed fit again, as if it had been asked for now.

        Where it is under way again because of an earlier call, whose answer may have been lost,
        nothing changes.

        Raises:
            Conflict: it has not failed.
        """
        known = await self.get(fit)
        if _retried(known):
            return known
        await self.open.enter(fit, known.payload.id)
        partition = model_partition(known.model)

        async def plan(fresh: bool) -> Plan[Fit]:
            row = await self._fit(fit, fresh)
            head = await self._head(known.model, fresh)
            if row.record is None:
                raise NotFound(f"there is no fit {fit!r}")
            if _retried(row.record):
                return Plan(row.record)  # our own commit, or another's
            if row.record.state is not FitState.FAILED:
                raise Conflict(f"fit {fit} is {row.record.state}; only a FAILED fit can be retried")
            if head.record is None or head.record.deleted:
                raise Conflict(f"the model of fit {fit} was deleted")
            sequence = head.record.last_sequence + 1
            queued = self._moved(
                row.record,
                FitState.QUEUED,
                tries=0,
                retries=row.record.retries + 1,
                sequence=sequence,
                reason=row.record.reason,
            )
            moved = msgspec.structs.replace(head.record, last_sequence=sequence)
            return Plan(queued, [row.write(queued), head.write(moved)])

        queued = await transact(self._store, partition, plan)
        # Again: a `close` of the failure may have removed the entry in between.
        await self.open.enter(fit, known.payload.id)
        return queued

    async def abandon(self, fit: FitId) -> Fit:
        """Make sure that an id without a row never becomes a fit; return the row there is now."""
        partition = model_partition(model_of(fit))

        async def plan(fresh: bool) -> Plan[Fit]:
            row = await self._fit(fit, fresh)
            if row.record is not None:
                return Plan(row.record)
            tombstone = Fit(
                id=fit,
                model=model_of(fit),
                name="",
                sequence=0,
                state=FitState.ABANDONED,
                request=FitRequest(algorithm="", options={}, values=0),
                payload=BlobRef(BlobId(""), 0, ""),
                who="",
                accepted_at="",
                digest="",
                changed_at=self._now(),
            )
            return Plan(tombstone, [row.write(tombstone)])

        return await transact(self._store, partition, plan)


def _retried(fit: Fit) -> bool:
    """Tell whether a fit is under way because it was retried by hand."""
    return fit.retries > 0 and not fit.state.ended
