"""The life of a fit: accepted, claimed, stored, published, served; or how else it ended.

Each move is one conditional commit in the model's partition. A move of an attempt depends on
the attempt's number, so a worker that was paused and taken over can change nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from tally.clock import Clock
from tally.errors import ClaimLost, Conflict, IdempotencyMismatch, NotFound
from tally.forecast.scores import Backtest
from tally.ids import BlobId, FitId, ModelUuid, model_of, new_blob_id, new_fit_id
from tally.ledger.names import Names
from tally.ledger.open_fits import OpenFits
from tally.ledger.records import (
    HEAD,
    Beat,
    BlobRef,
    Fit,
    FitRequest,
    FitState,
    Head,
    Repeat,
    Version,
    VersionState,
    beat_key,
    fit_key,
    model_partition,
    repeat_key,
    version_key,
)
from tally.ledger.transact import Plan, Read, decode, read, transact
from tally.store.base import Blob, Store, Token


@dataclass(frozen=True, slots=True)
class BeatSeen:
    """A heartbeat as somebody saw it: equal tokens mean that it has not moved in between."""

    token: Token
    beat: Beat


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit worker has made, beside the bytes."""

    blob: Blob
    algorithm: str
    options: dict[str, int | float | str | bool]
    period: int
    fit_seconds: float
    backtest: Backtest


class Claim:
    """One attempt of one worker at one fit.

    Attributes:
        fit: as it was claimed.
        blob: the id under which this attempt stores its model.
    """

    def __init__(self, store: Store, fit: Fit, beat: Token) -> None:
        self.fit = fit
        self.blob: BlobId = fit.blobs[-1]
        self._store = store
        self._partition = model_partition(fit.model)
        self._beat: Token | None = beat
        self._count = 0

    async def renew(self, progress: float, doing: str) -> None:
        """Say that the work goes on.

        Raises:
            ClaimLost: another worker has the fit, or it was cancelled or deleted.
        """
        self._count += 1
        beat = Beat(self.fit.attempt, self._count, progress, doing)

        async def plan(fresh: bool) -> Plan[str]:
            row = await read(self._store, self._partition, beat_key(self.fit.id), Beat, fresh=fresh)
            if row.record == beat:
                return Plan("")
            if row.record is None:
                return Plan("was taken over, was cancelled, or has ended")
            if row.record.attempt != self.fit.attempt:
                return Plan("was taken over")
            head = await read(self._store, self._partition, HEAD, Head, fresh=fresh)
            if head.record is None or head.record.deleted:
                return Plan("is of a model that was deleted")
            return Plan("", [row.write(beat)])

        if lost := await transact(self._store, self._partition, plan):
            raise ClaimLost(f"fit {self.fit.id}: attempt {self.fit.attempt} {lost}")


class Fits:
    """All moves of fits."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._names = Names(store, clock)
        self.open = OpenFits(store)

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
        """
        digest = hashlib.sha256(payload + msgspec.json.encode(request, order="sorted")).hexdigest()
        while True:
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

    async def get(self, fit: FitId) -> Fit:
        """Return a fit.

        Raises:
            NotFound: there is none of that id.
        """
        row = await self._fit(fit, fresh=False)
        if row.record is None or row.record.state is FitState.ABANDONED:
            raise NotFound(f"there is no fit {fit!r}")
        return row.record

    async def find(self, fit: FitId) -> Fit | None:
        """Return a fit as the reconciler needs it: read fresh, None if it was never accepted."""
        return (await self._fit(fit, fresh=True)).record

    async def newest(
        self, model: ModelUuid, *, state: FitState | None = None, limit: int = 1000
    ) -> list[Fit]:
        """Return the newest fits of a model, newest first."""
        fits: list[Fit] = []
        after = ""
        partition = model_partition(model)
        while rows := await self._store.scan(partition, "fit/", after=after, limit=500):
            fits += [decode(row, Fit) for row in rows]
            after = rows[-1].key
        fits = [
            fit
            for fit in fits
            if fit.state is not FitState.ABANDONED and state in (None, fit.state)
        ]
        return sorted(fits, key=lambda fit: fit.sequence, reverse=True)[:limit]

    async def beat(self, fit: FitId) -> BeatSeen | None:
        """Return the heartbeat of a fit as it is now."""
        row = await read(self._store, model_partition(model_of(fit)), beat_key(fit), Beat)
        return BeatSeen(row.token, row.record) if row.record and row.token else None

    async def claim(
        self, fit: FitId, worker: str, *, max_tries: int, dead: BeatSeen | None = None
    ) -> Claim | None:
        """Take a fit on, or return None if there is nothing to take.

        Args:
            fit: which.
            worker: who takes it.
            max_tries: past it the fit ends FAILED instead: whatever kills its workers is in it.
            dead: the heartbeat that the caller has seen standing still for the TTL, on its own
                clock; without it a running fit is left to its worker.
        """
        partition = model_partition(model_of(fit))
        blob = new_blob_id()

        async def plan(fresh: bool) -> Plan[Fit | None]:
            row = await self._fit(fit, fresh)
            beat = await read(self._store, partition, beat_key(fit), Beat, fresh=fresh)
            known = row.record
            if known is None:
                return Plan(None)
            if known.blobs and known.blobs[-1] == blob:
                return Plan(known)  # our own commit
            if known.state is FitState.RUNNING:
                if dead is None or beat.token != dead.token:
                    return Plan(None)
            elif known.state is not FitState.QUEUED:
                return Plan(None)
            head = await self._head(known.model, fresh)
            if head.record is None or head.record.deleted:
                gone = self._moved(known, FitState.CANCELLED, reason="the model was deleted")
                return Plan(None, [row.write(gone)])
            if known.tries >= max_tries:
                reason = known.reason or (
                    f"the worker fitting it died or was stopped {known.tries} times"
                )
                failed = self._moved(known, FitState.FAILED, reason=reason)
                return Plan(None, [row.write(failed)])
            running = self._moved(
                known,
                FitState.RUNNING,
                attempt=known.attempt + 1,
                tries=known.tries + 1,
                worker=worker,
                blobs=(*known.blobs, blob),
            )
            return Plan(running, [row.write(running), beat.write(Beat(running.attempt))])

        claimed = await transact(self._store, partition, plan)
        if claimed is None:
            return None
        seen = await self.beat(fit)
        if seen is None or seen.beat.attempt != claimed.attempt:
            return None  # taken over already: this process was stopped for very long
        return Claim(self._store, claimed, seen.token)

    async def payload(self, fit: Fit) -> bytes:
        """Return the packed series of a fit."""
        return await self._store.get_blob(fit.payload.blob())

    async def store(self, claim: Claim, fitted: Fitted) -> Fit:
        """Write the manifest of what an attempt has stored, under the next version number.

        Raises:
            ClaimLost: the attempt no longer counts.
        """
        partition = model_partition(claim.fit.model)

        async def plan(fresh: bool) -> Plan[Fit | None]:
            row, known = await self._mine(claim, fresh)
            if known is None:
                return Plan(None)
            if known.version:
                return Plan(known)  # our own commit, which somebody may have published since
            if known.state is not FitState.RUNNING:
                return Plan(None)  # given up on, by somebody who saw the heartbeat stand still
            head = await self._head(known.model, fresh)
            assert head.record is not None
            if head.record.deleted:
                return Plan(None)
            number = head.record.last_version + 1
            request = known.request
            manifest = Version(
                version=number,
                state=VersionState.STORED,
                fit=known.id,
                blob=BlobRef.of(fitted.blob),
                algorithm=fitted.algorithm,
                options=fitted.options,
                period=fitted.period,
                values=request.values,
                start=request.start,
                frequency=request.frequency,
                who=known.who,
                stored_at=self._now(),
                fit_seconds=fitted.fit_seconds,
                backtest=fitted.backtest,
            )
            stored = self._moved(known, FitState.STORED, version=number)
            version = await read(self._store, partition, version_key(number), Version, fresh=fresh)
            return Plan(
                stored,
                [
                    row.write(stored),
                    version.write(manifest),
                    head.write(msgspec.structs.replace(head.record, last_version=number)),
                ],
            )

        stored = await transact(self._store, partition, plan)
        if stored is None:
            raise ClaimLost(f"fit {claim.fit.id}: attempt {claim.fit.attempt} no longer counts")
        return stored

    async def publish(self, fit: FitId) -> Fit:
        """Move the head to a stored fit's version, or record why not; safe to repeat.

        Only a fit accepted after the one being served, and after the last rollback, may move it.
        """
        partition = model_partition(model_of(fit))

        async def plan(fresh: bool) -> Plan[Fit]:
            row = await self._fit(fit, fresh)
            known = row.record
            if known is None:
                raise NotFound(f"there is no fit {fit!r}")
            if known.state is not FitState.STORED:
                return Plan(known)
            head = await self._head(known.model, fresh)
            key = version_key(known.version)
            manifest = await read(self._store, partition, key, Version, fresh=fresh)
            assert head.record is not None
            assert manifest.record is not None
            ended = self._refused(known, head.record) or await self._unskilled(
                known, head.record, manifest.record, fresh
            )
            if ended is not None:
                unused = msgspec.structs.replace(manifest.record, state=VersionState.UNUSED)
                # The head is checked, so that the reason is true at the moment it is written.
                return Plan(ended, [row.write(ended), manifest.write(unused)], [head.check()])
            now = self._now()
            published = self._moved(known, FitState.PUBLISHED)
            moved = msgspec.structs.replace(
                head.record,
                version=known.version,
                previous=head.record.version,
                generation=head.record.generation + 1,
                published_sequence=known.sequence,
                moved_at=now,
            )
            pinned = msgspec.structs.replace(
                manifest.record, state=VersionState.PUBLISHED, published_at=now
            )
            return Plan(
                published, [row.write(published), head.write(moved), manifest.write(pinned)]
            )

        return await transact(self._store, partition, plan)

    def _refused(self, fit: Fit, head: Head) -> Fit | None:
        if head.deleted:
            return self._moved(fit, FitState.CANCELLED, reason="the model was deleted")
        if fit.sequence <= head.barrier_sequence:
            reason = f"the model was rolled back to version {head.version} after this fit began"
            return self._moved(fit, FitState.SUPERSEDED, reason=reason)
        if fit.sequence <= head.published_sequence:
            reason = f"version {head.version} comes from a request accepted after this one"
            return self._moved(fit, FitState.SUPERSEDED, reason=reason)
        return None

    async def _unskilled(self, fit: Fit, head: Head, made: Version, fresh: bool) -> Fit | None:
        wanted = fit.request.min_skill
        if wanted is None:
            return None
        against, other = "the seasonal naive forecast", made.backtest.seasonal_naive.mase
        if head.version:
            key = version_key(head.version)
            served = await read(self._store, model_partition(fit.model), key, Version, fresh=fresh)
            if served.record is not None:
                against, other = f"version {head.version}", served.record.backtest.model.mase
        ours = made.backtest.model.mase
        if ours is None or other is None:
            reason = f"min_skill {wanted} cannot be judged: a backtest has no score"
            return self._moved(fit, FitState.REJECTED, reason=reason)
        # With an error of zero to beat, equal is skill 0 and anything else has none.
        skill = 1 - ours / other if other else (0.0 if ours == 0 else float("-inf"))
        if skill >= wanted:
            return None
        reason = (
            f"skill {skill:.3f} against {against} is below min_skill {wanted}: "
            f"MASE {ours:.3f} against {other:.3f}; version {made.version} is not served"
        )
        return self._moved(fit, FitState.REJECTED, reason=reason)

    async def served(self, model: ModelUuid, version: int) -> FitId | None:
        """Record that a worker has announced a version; return its fit if this was the first."""
        partition = model_partition(model)
        manifest = await read(self._store, partition, version_key(version), Version)
        if manifest.record is None:
            return None
        fit = manifest.record.fit

        async def plan(fresh: bool) -> Plan[bool]:
            row = await self._fit(fit, fresh)
            if row.record is None or row.record.state is not FitState.PUBLISHED:
                return Plan(False)
            return Plan(True, [row.write(self._moved(row.record, FitState.SERVED))])

        return fit if await transact(self._store, partition, plan) else None

    async def fail(self, claim: Claim, reason: str, *, retryable: bool, max_tries: int) -> Fit:
        """Record that an attempt failed: queued again while tries are left, else FAILED.

        Raises:
            ClaimLost: the attempt no longer counts, and neither does its failure.
        """
        partition = model_partition(claim.fit.model)

        async def plan(fresh: bool) -> Plan[Fit | None]:
            row, known = await self._mine(claim, fresh)
            if known is None or known.state is not FitState.RUNNING:
                return Plan(known if known and known.reason == reason else None)
            again = retryable and known.tries < max_tries
            state = FitState.QUEUED if again else FitState.FAILED
            failed = self._moved(known, state, reason=reason)
            return Plan(failed, [row.write(failed)])

        failed = await transact(self._store, partition, plan)
        if failed is None:
            raise ClaimLost(f"fit {claim.fit.id}: attempt {claim.fit.attempt} no longer counts")
        return failed

    async def give_back(self, claim: Claim) -> Fit | None:
        """Queue a running fit again because its worker is being stopped; that costs no try.

        Returns:
            The fit as queued, None if the attempt no longer counts or has come further.
        """
        partition = model_partition(claim.fit.model)

        async def plan(fresh: bool) -> Plan[Fit | None]:
            row, known = await self._mine(claim, fresh)
            if known is None or known.state is not FitState.RUNNING:
                own = known is not None and known.state is FitState.QUEUED
                return Plan(known if own else None)
            queued = self._moved(known, FitState.QUEUED, tries=known.tries - 1, worker="")
            return Plan(queued, [row.write(queued)])

        return await transact(self._store, partition, plan)

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

        Raises:
            Conflict: it has not failed.
        """
        known = await self.get(fit)
        await self.open.enter(fit, known.payload.id)
        partition = model_partition(known.model)

        async def plan(fresh: bool) -> Plan[Fit]:
            row = await self._fit(fit, fresh)
            head = await self._head(known.model, fresh)
            if row.record is None:
                raise NotFound(f"there is no fit {fit!r}")
            if row.record.state is FitState.QUEUED and row.record.sequence > known.sequence:
                return Plan(row.record)  # our own commit, or another retry
            if row.record.state is not FitState.FAILED:
                raise Conflict(f"fit {fit} is {row.record.state}; only a FAILED fit can be retried")
            if head.record is None or head.record.deleted:
                raise Conflict(f"the model of fit {fit} was deleted")
            sequence = head.record.last_sequence + 1
            queued = self._moved(
                row.record, FitState.QUEUED, tries=0, sequence=sequence, reason=row.record.reason
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

    async def close(self, fit: Fit) -> None:
        """Clean up after a fit that ended, and take it off the open list; safe to repeat.

        The bytes of attempts that came to nothing go, and so does the series, except where the
        fit FAILED and may be retried by hand. One that was retried meanwhile is left alone.
        """
        # In this order: whoever retries from here on enters the fit anew.
        entry = await self.open.entry(fit.id)
        fit = await self.find(fit.id) or fit
        if not _over(fit):
            return
        kept: set[BlobId] = set()
        if fit.version:
            key = version_key(fit.version)
            manifest = await read(self._store, model_partition(fit.model), key, Version)
            if manifest.record is not None:
                kept.add(manifest.record.blob.id)
        for blob in fit.blobs:
            if blob not in kept:
                await self._store.delete_blob(blob)
        if fit.state is not FitState.FAILED and fit.payload.id:
            await self._store.delete_blob(fit.payload.id)
        partition = model_partition(fit.model)

        async def plan(fresh: bool) -> Plan[None]:
            beat = await read(self._store, partition, beat_key(fit.id), Beat, fresh=fresh)
            row = await self._fit(fit.id, fresh)
            if beat.record is None or (row.record is not None and not _over(row.record)):
                return Plan(None)
            return Plan(None, [beat.write(None)], [row.check()] if row.record else ())

        await transact(self._store, partition, plan)
        if entry is not None:
            await self.open.remove(fit.id, entry)

    async def _mine(self, claim: Claim, fresh: bool) -> tuple[Read[Fit], Fit | None]:
        """Return the claim's fit; None for the record if the attempt no longer counts."""
        row = await self._fit(claim.fit.id, fresh)
        known = row.record
        counts = (
            known is not None
            and known.attempt == claim.fit.attempt
            and known.state is not FitState.CANCELLED
        )
        return row, known if counts else None

    async def _fit(self, fit: FitId, fresh: bool) -> Read[Fit]:
        partition = model_partition(model_of(fit))
        return await read(self._store, partition, fit_key(fit), Fit, fresh=fresh)

    async def _head(self, model: ModelUuid, fresh: bool) -> Read[Head]:
        return await read(self._store, model_partition(model), HEAD, Head, fresh=fresh)

    def _moved(self, fit: Fit, state: FitState, *, reason: str = "", **changes: object) -> Fit:
        return msgspec.structs.replace(
            fit, state=state, reason=reason, changed_at=self._now(), **changes
        )

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="milliseconds")


def _over(fit: Fit) -> bool:
    """Tell whether nobody works on a fit any more; one that is published may still be served."""
    return fit.state.ended or fit.state.published
