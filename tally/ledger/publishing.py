"""From a stored version to the one being served, and the cleaning up behind it."""

from __future__ import annotations

import msgspec

from tally.errors import NotFound
from tally.ids import BlobId, FitId, model_of
from tally.ledger.fit_rows import FitRows
from tally.ledger.records import (
    Beat,
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


class Publishing(FitRows):
    """The moves of a fit that has become a version."""

    async def publish(self, fit: FitId) -> Fit:
        """Move the head to a stored fit's version, or record why not; safe to repeat.

        Only a fit accepted after the one being served, and after the last rollback, may move it.
        One that was stored before the version being served gets a new number, above that one.
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
            # Stored before the version that is served, and asked for after it: under the number
            # that it has, what is served would go back.
            late = known.version < head.record.version
            number = head.record.last_version + 1 if late else known.version
            now = self._now()
            published = self._moved(known, FitState.PUBLISHED, version=number)
            moved = msgspec.structs.replace(
                head.record,
                version=number,
                previous=head.record.version,
                generation=head.record.generation + 1,
                published_sequence=known.sequence,
                last_version=max(number, head.record.last_version),
                moved_at=now,
            )
            pinned = msgspec.structs.replace(
                manifest.record, version=number, state=VersionState.PUBLISHED, published_at=now
            )
            writes = [row.write(published), head.write(moved)]
            if late:
                renumbered: Read[Version] = Read(version_key(number), None, None)
                writes += [manifest.write(None), renumbered.write(pinned)]
            else:
                writes.append(manifest.write(pinned))
            return Plan(published, writes)

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

    async def served(self, fit: FitId) -> bool:
        """Record that a worker has announced the version of a fit; tell whether it was the first.

        Every worker that loads the version asks this, so it reads no more than one row.
        """

        async def plan(fresh: bool) -> Plan[bool]:
            row = await self._fit(fit, fresh)
            if row.record is None or row.record.state is not FitState.PUBLISHED:
                return Plan(False)
            return Plan(True, [row.write(self._moved(row.record, FitState.SERVED))])

        return await transact(self._store, model_partition(model_of(fit)), plan)

    async def replaced(self, fit: FitId) -> Fit:
        """End a published fit as SUPERSEDED if the head has moved on before anybody served it.

        Its version stays: it can be asked for by its number, and rolled back to.

        Returns:
            The fit as it is now, moved or not.
        """

        async def plan(fresh: bool) -> Plan[Fit]:
            row = await self._fit(fit, fresh)
            known = row.record
            if known is None:
                raise NotFound(f"there is no fit {fit!r}")
            if known.state is not FitState.PUBLISHED:
                return Plan(known)
            head = await self._head(known.model, fresh)
            if head.record is None or head.record.deleted:
                gone = self._moved(known, FitState.CANCELLED, reason="the model was deleted")
                return Plan(gone, [row.write(gone)])
            if head.record.version == known.version:
                return Plan(known)
            reason = (
                f"version {known.version} was published, and version {head.record.version} took "
                "its place before any worker was known to serve it"
            )
            ended = self._moved(known, FitState.SUPERSEDED, reason=reason)
            return Plan(ended, [row.write(ended)], [head.check()])

        return await transact(self._store, model_partition(model_of(fit)), plan)

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


def _over(fit: Fit) -> bool:
    """Tell whether nobody works on a fit any more; one that is published may still be served."""
    return fit.state.ended or fit.state.published
