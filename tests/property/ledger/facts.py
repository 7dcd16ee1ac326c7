"""What was seen of a ledger, and what must hold of it whatever happens next."""

from __future__ import annotations

from dataclasses import dataclass, field

from tally.errors import NotFound
from tally.ids import FitId, ModelUuid
from tally.ledger import Ledger
from tally.ledger.records import Fit, FitState, Head, VersionState

Number = tuple[ModelUuid, int]


@dataclass
class Facts:
    """A memory that never forgets, and compares it with the rows.

    Attributes:
        ledger: whose rows.
        models: all that there ever were.
        accepted: the moment of each acknowledged fit, or of its last retry, on a counter of ours.
        bytes_of: what the attempt that counts stored, of each fit.
        barriers: of each model, the last moment before its last rollback.
        moved: the moment of the fit whose publication moved each head last.
    """

    ledger: Ledger
    models: set[ModelUuid] = field(default_factory=set)
    accepted: dict[FitId, int] = field(default_factory=dict)
    bytes_of: dict[FitId, bytes] = field(default_factory=dict)
    barriers: dict[ModelUuid, int] = field(default_factory=dict)
    moved: dict[ModelUuid, int] = field(default_factory=dict)
    _moments: int = 0
    _heads: dict[ModelUuid, Head] = field(default_factory=dict)
    _fit_of: dict[Number, FitId] = field(default_factory=dict)
    _number_of: dict[FitId, Number] = field(default_factory=dict)
    _ended: dict[FitId, FitState] = field(default_factory=dict)
    _may_end: set[FitId] = field(default_factory=set)

    def note_accepted(self, fit: Fit) -> None:
        """Remember that a fit was asked for, or retried, after all the others."""
        self.models.add(fit.model)
        self._moments += 1
        self.accepted[fit.id] = self._moments
        self._ended.pop(fit.id, None)  # a dead letter may be asked for again

    def note_rollback(self, head: Head, model: ModelUuid, to: int) -> None:
        """Remember that somebody went back, which alone may lower the version."""
        assert head.version == to
        self.barriers[model] = self._moments
        self._heads[model] = head

    def note_may_end(self, fit: FitId) -> None:
        """Remember, until the next check, that a fit may end and be forgotten before it."""
        self._may_end.add(fit)

    async def check(self) -> None:
        """Compare everything.

        Raises:
            AssertionError: a promise is broken.
        """
        for model in self.models:
            head = await self.ledger.versions.head(model)
            assert head is not None
            await self._check_head(model, head)
            if not head.deleted:
                await self._check_readable(model, head)
            await self._check_versions(model)
        await self._check_fits()
        self._may_end.clear()

    async def _check_head(self, model: ModelUuid, head: Head) -> None:
        before = self._heads.get(model)
        self._heads[model] = head
        if before is None:
            before = Head(head.name)
        assert head.generation >= before.generation
        assert not before.deleted or head == before, "a deleted model moved"
        if head.generation == before.generation:
            assert head.version == before.version
        elif not head.deleted:
            assert head.version > before.version, "V2: the version went back"
            moment = self.accepted[self._fit_of_head(await self._maker(model, head))]
            assert moment > self.barriers.get(model, 0), "a fit from before a rollback undid it"
            assert moment > self.moved.get(model, 0), "an earlier request replaced a later one"
            self.moved[model] = moment

    def _fit_of_head(self, fit: Fit) -> FitId:
        assert fit.state in (FitState.PUBLISHED, FitState.SERVED, FitState.SUPERSEDED)
        return fit.id

    async def _maker(self, model: ModelUuid, head: Head) -> Fit:
        return await self.ledger.fits.get((await self.ledger.versions.get(model, head.version)).fit)

    async def _check_readable(self, model: ModelUuid, head: Head) -> None:
        """V1: what is served, and what was served before it, can be loaded."""
        for number in filter(None, (head.version, head.previous)):
            version = await self.ledger.versions.get(model, number)
            assert version.state is VersionState.PUBLISHED, f"V1: version {number} is {version}"
            data = await self.ledger.store.get_blob(version.blob.blob())
            assert data == self.bytes_of[version.fit], "V7: another attempt's bytes"

    async def _check_versions(self, model: ModelUuid) -> None:
        """V7: one number is one fit for ever, and one fit is published under one number."""
        for version in await self.ledger.versions.history(model):
            number = (model, version.version)
            assert self._fit_of.setdefault(number, version.fit) == version.fit
            if version.state is VersionState.PUBLISHED:
                assert self._number_of.setdefault(version.fit, number) == number

    async def _check_fits(self) -> None:
        """V3: a fit goes on until it ends; then it stays ended, or is forgotten."""
        open_ = {fit async for fit, _ in self.ledger.fits.open.walk()}
        for fit_id in self.accepted:
            try:
                fit = await self.ledger.fits.get(fit_id)
            except NotFound:
                assert fit_id in self._ended.keys() | self._may_end, "V3: an accepted fit is gone"
                self._ended.setdefault(fit_id, FitState.SUPERSEDED)
                continue
            if fit.version:
                number = (fit.model, fit.version)
                assert self._fit_of.setdefault(number, fit_id) == fit_id
            before = self._ended.get(fit_id)
            if before is not None:
                assert fit.state is before or (
                    before is FitState.PUBLISHED and fit.state in _AFTER_PUBLICATION
                ), f"{before} became {fit.state}"
            if fit.state.ended or fit.state.published:
                self._ended[fit_id] = fit.state
            if not fit.state.ended:
                assert fit_id in open_ or fit.state is FitState.PUBLISHED, (
                    f"V3: nothing leads to a fit that is {fit.state}"
                )


_AFTER_PUBLICATION = (FitState.SERVED, FitState.SUPERSEDED, FitState.CANCELLED)
