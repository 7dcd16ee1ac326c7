"""Random histories of one ledger: workers that sleep and wake up, rollbacks, deletions, retention.

Hypothesis draws the history; after each step the rows are held against `Facts`. Every move may be
made by whoever still believes that it is his turn, several at once, and with its answer lost.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from tally.clock import ManualClock
from tally.errors import ClaimLost, Conflict, NotFound, OutcomeUnknown
from tally.forecast.scores import Backtest, Scores
from tally.ids import FitId, model_of
from tally.ledger import Ledger
from tally.ledger.attempts import Claim, Fitted
from tally.ledger.fit_rows import BeatSeen
from tally.ledger.records import Fit, FitRequest, FitState
from tally.store.base import Check, Token, Write
from tally.store.sqlite import SqliteStore
from tests.property.ledger.facts import Facts

T = TypeVar("T")

TRIES = 3
NAMES = st.sampled_from(["m", "n"])
PAYLOAD = b"\0" * 8
REFUSED = (ClaimLost, Conflict, NotFound)
"""What a move may answer to whoever comes too late."""


class Forgetful(SqliteStore):
    """A store that carries a commit out and can forget to say so."""

    loses = 0

    async def commit(
        self, partition: str, writes: Sequence[Write], checks: Sequence[Check] = ()
    ) -> Mapping[str, Token] | None:
        done = await super().commit(partition, writes, checks)
        if self.loses:
            self.loses -= 1
            raise OutcomeUnknown("lost")
        return done


class LedgerMachine(RuleBasedStateMachine):
    """The moves that processes make, each as often and as late as it likes."""

    fits = Bundle("fits")
    claims = Bundle("claims")
    beats = Bundle("beats")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._runner = asyncio.Runner()
        self._store = self._run(self._open())
        self._ledger = Ledger(self._store, ManualClock())
        self._facts = Facts(self._ledger)

    async def _open(self) -> Forgetful:
        return Forgetful(Path(self._folder.name) / "store.db")

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def teardown(self) -> None:
        self._run(self._store.close())
        self._runner.close()
        self._folder.cleanup()

    async def _try(self, move: Awaitable[T]) -> T | None:
        try:
            return await move
        except REFUSED:
            return None
        finally:
            self._store.loses = 0

    # Clients

    @initialize(target=fits)
    def begin(self) -> Any:
        return self.accept("m", "")

    @rule(target=fits, name=NAMES, key=st.sampled_from(["", "a"]))
    def accept(self, name: str, key: str) -> FitId:
        request = FitRequest(algorithm="seasonal_naive", options={}, values=1)
        fit = self._run(
            self._ledger.fits.accept(name, request, PAYLOAD, who="ann", idempotency=key)
        )
        self._store.loses = 0
        if fit.id not in self._facts.accepted:
            self._facts.note_accepted(fit)
        return fit.id

    @rule(fit=fits)
    def cancel(self, fit: FitId) -> None:
        self._run(self._try(self._ledger.fits.cancel(fit, "ann")))

    @rule(fit=fits)
    def retry(self, fit: FitId) -> None:
        async def failed() -> bool:
            known = await self._ledger.fits.find(fit)
            return known is not None and known.state is FitState.FAILED

        if not self._run(failed()):
            return
        if (queued := self._run(self._try(self._ledger.fits.retry(fit)))) is not None:
            self._facts.note_accepted(queued)

    # Workers

    @rule(target=beats, fit=fits)
    def look_at_heartbeat(self, fit: FitId) -> tuple[FitId, BeatSeen | None]:
        return fit, self._run(self._ledger.fits.beat(fit))

    @rule(target=claims, fit=fits)
    def claim(self, fit: FitId) -> Any:
        return self._claimed(fit, None)

    @rule(target=claims, beat=beats)
    def take_over(self, beat: tuple[FitId, BeatSeen | None]) -> Any:
        return self._claimed(*beat)

    def _claimed(self, fit: FitId, dead: BeatSeen | None) -> Any:
        claim = self._run(self._try(self._ledger.fits.claim(fit, "w", max_tries=TRIES, dead=dead)))
        return multiple() if claim is None else claim

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        self._run(self._try(claim.renew(0.5, "fitting")))

    @rule(claim=claims)
    def store(self, claim: Claim) -> None:
        self._run(self._stored(claim))

    @rule(claim=claims)
    def store_and_publish(self, claim: Claim) -> None:
        if self._run(self._stored(claim)) is not None:
            self._run(self._try(self._ledger.fits.publish(claim.fit.id)))

    async def _stored(self, claim: Claim) -> Fit | None:
        data = f"{claim.fit.id}, attempt {claim.fit.attempt}".encode()
        # A worker that was given up on may write its bytes long after they were cleared away.
        blob = await self._store.put_blob(claim.blob, data)
        scores = Scores(mase=1.0)
        made = Fitted(blob, "seasonal_naive", {}, 1, 0.1, Backtest(scores, scores, None, 1, 1))
        fit = await self._try(self._ledger.fits.store(claim, made))
        if fit is not None:
            known = self._facts.bytes_of.setdefault((fit.model, fit.version), data)
            assert known == data, "V7: two attempts made one version"
        return fit

    @rule(claim=claims, retryable=st.booleans())
    def fail(self, claim: Claim, retryable: bool) -> None:
        move = self._ledger.fits.fail(claim, "bad", retryable=retryable, max_tries=TRIES)
        self._run(self._try(move))

    @rule(claim=claims)
    def give_back(self, claim: Claim) -> None:
        self._run(self._try(self._ledger.fits.give_back(claim)))

    @rule(fit=fits)
    def publish(self, fit: FitId) -> None:
        self._run(self._try(self._ledger.fits.publish(fit)))

    @rule(fit=fits)
    def served(self, fit: FitId) -> None:
        self._run(self._try(self._ledger.fits.served(fit)))

    @rule(fit=fits)
    def replaced(self, fit: FitId) -> None:
        self._run(self._try(self._ledger.fits.replaced(fit)))

    @rule(fit=fits)
    def close(self, fit: FitId) -> None:
        self._run(self._closed(fit))

    async def _closed(self, fit: FitId) -> None:
        if (known := await self._ledger.fits.find(fit)) is not None:
            await self._try(self._ledger.fits.close(known))

    # Operators and housekeeping

    @rule(fit=fits, to=st.integers(1, 6))
    def roll_back(self, fit: FitId, to: int) -> None:
        self._run(self._rolled_back(fit, to))

    async def _rolled_back(self, fit: FitId, to: int) -> None:
        model = model_of(fit)
        if (head := await self._try(self._ledger.versions.rollback(model, to, "bob"))) is not None:
            self._facts.note_rollback(head, model, to)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self._run(self._try(self._ledger.versions.delete(name, "bob")))

    @rule(name=NAMES, keep=st.integers(0, 2))
    def tidy(self, name: str, keep: int) -> None:
        self._run(self._try(self._tidied(name, keep)))

    async def _tidied(self, name: str, keep: int) -> None:
        """Do what the janitor does, without its grace."""
        model = await self._ledger.names.find(name)
        for version in await self._ledger.versions.retire(model, keep):
            await self._ledger.versions.remove(model, version)
        await self._ledger.versions.prune_fits(model, keep)

    # Troubles

    @rule()
    def lose_the_next_answer(self) -> None:
        self._store.loses = 1

    @rule(first=fits, second=fits, name=NAMES, to=st.integers(1, 6))
    def all_at_once(self, first: FitId, second: FitId, name: str, to: int) -> None:
        async def moves() -> None:
            await asyncio.gather(
                self._try(self._ledger.fits.publish(first)),
                self._try(self._ledger.fits.publish(second)),
                self._rolled_back(first, to),
                self._try(self._tidied(name, 0)),
                self._closed(second),
            )

        self._run(moves())

    @invariant()
    def all_promises_hold(self) -> None:
        loses, self._store.loses = self._store.loses, 0
        self._run(self._facts.check())
        self._store.loses = loses


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
