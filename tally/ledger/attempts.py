"""Attempts at a fit: claimed, kept alive, and ended with a model, a failure, or given back.

Every move of an attempt depends on its number, so a worker that was paused and taken over can
change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tally.errors import ClaimLost
from tally.forecast.scores import Backtest
from tally.ids import BlobId, FitId, model_of, new_blob_id
from tally.ledger.fit_rows import BeatSeen, FitRows
from tally.ledger.records import (
    HEAD,
    Beat,
    BlobRef,
    Fit,
    FitState,
    Head,
    Version,
    VersionState,
    beat_key,
    model_partition,
    version_key,
)
from tally.ledger.transact import Plan, Read, read, transact
from tally.store.base import Blob, Store


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

    def __init__(self, store: Store, fit: Fit) -> None:
        self.fit = fit
        self.blob: BlobId = fit.blobs[-1]
        self._store = store
        self._partition = model_partition(fit.model)
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


class Attempts(FitRows):
    """The moves of whoever has claimed a fit."""

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
        return Claim(self._store, claimed)

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

    async def give_back(self, claim: Claim, reason: str = "") -> Fit | None:
        """Queue a running fit again because its worker cannot go on; that costs no try.

        Args:
            claim: of the worker.
            reason: why, if that is worth telling; a worker that is being stopped needs none.

        Returns:
            The fit as queued, None if the attempt no longer counts or has come further.
        """
        partition = model_partition(claim.fit.model)

        async def plan(fresh: bool) -> Plan[Fit | None]:
            row, known = await self._mine(claim, fresh)
            if known is None or known.state is not FitState.RUNNING:
                own = known is not None and known.state is FitState.QUEUED
                return Plan(known if own else None)
            queued = self._moved(
                known, FitState.QUEUED, reason=reason, tries=known.tries - 1, worker=""
            )
            return Plan(queued, [row.write(queued)])

        return await transact(self._store, partition, plan)

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
