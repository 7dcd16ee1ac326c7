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

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tally.clock import ManualClock
from tally.errors import ClaimLost, Conflict, NotFound, OutcomeUnknown
from tally.forecast.scores import Backtest, Scores
from tally.ids import FitId
from tally.ledger import Ledger
from tally.ledger.attempts import Claim, Fitted
from tally.ledger.fit_rows import BeatSeen
from tally.ledger.records import Fit, FitRequest, FitState
from tally.store.base import Check, Token, Write
from tally.store.sqlite import SqliteStore
from tests.property.ledger.facts import Facts

T = TypeVar("T")

TRIES = 3
NAME = "m"
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
        return self.accept("")

    @rule(target=fits, key=st.sampled_from(["", "a"]))
    def accept(self, key: str) -> FitId:
        return self._run(self._accepted(key))

    async def _accepted(self, key: str = "") -> FitId:
        request = FitRequest(algorithm="seasonal_naive", options={}, values=1)
        fit = await self._ledger.fits.accept(NAME, request, PAYLOAD, who="ann", idempotency=key)
        self._store.loses = 0
        if fit.id not in self._facts.accepted:
            self._facts.note_accepted(fit)
        return fit.id

    @rule(fit=fits, move=st.sampled_from(["cancel", "retry"]))
    def change_ones_mind(self, fit: FitId, move: str) -> None:
        if move == "cancel":
            self._run(self._try(self._ledger.fits.cancel(fit, "ann")))
        else:
            self._run(self._retried(fit))

    async def _retried(self, fit: FitId) -> None:
        known = await self._ledger.fits.find(fit)
        if known is None or known.state is not FitState.FAILED:
            return
        if (queued := await self._try(self._ledger.fits.retry(fit))) is not None:
            self._facts.note_accepted(queued)

    # Workers

    @rule(target=claims, fit=fits)
    def claim(self, fit: FitId) -> Any:
        return self._run(self._claimed(fit)) or multiple()

    @rule(target=claims)
    def claim_a_new_one(self) -> Any:
        async def moves() -> Claim | None:
            return await self._claimed(await self._accepted())

        return self._run(moves()) or multiple()

    @rule(target=claims, claim=claims)
    def take_over(self, claim: Claim) -> Any:
        """Claim what another worker has, which then goes on all the same."""

        async def moves() -> Claim | None:
            dead = await self._ledger.fits.beat(claim.fit.id)
            return await self._claimed(claim.fit.id, dead)

        return self._run(moves()) or multiple()

    async def _claimed(self, fit: FitId, dead: BeatSeen | None = None) -> Claim | None:
        return await self._try(self._ledger.fits.claim(fit, "w", max_tries=TRIES, dead=dead))

    @rule(claim=claims)
    def store(self, claim: Claim) -> None:
        self._run(self._stored(claim))

    @rule(claim=claims)
    def store_and_publish(self, claim: Claim) -> None:
        async def moves() -> None:
            if await self._stored(claim) is not None:
                await self._try(self._ledger.fits.publish(claim.fit.id))

        self._run(moves())

    async def _stored(self, claim: Claim) -> Fit | None:
        data = f"{claim.fit.id}, attempt {claim.fit.attempt}".encode()
        # A worker that was given up on may write its bytes long after they were cleared away.
        blob = await self._store.put_blob(claim.blob, data)
        scores = Scores(mase=1.0)
        made = Fitted(blob, "seasonal_naive", {}, 1, 0.1, Backtest(scores, scores, None, 1, 1))
        fit = await self._try(self._ledger.fits.store(claim, made))
        if fit is not None:
            known = self._facts.bytes_of.setdefault(fit.id, data)
            assert known == data, "V7: two attempts made one version"
        return fit

    @rule(claim=claims, move=st.sampled_from(["renew", "fail", "fail for good", "give back"]))
    def end_otherwise(self, claim: Claim, move: str) -> None:
        fits = self._ledger.fits
        match move:
            case "renew":
                self._run(self._try(claim.renew(0.5, "fitting")))
            case "give back":
                self._run(self._try(fits.give_back(claim)))
            case _:
                again = move == "fail"
                self._run(self._try(fits.fail(claim, "bad", retryable=again, max_tries=TRIES)))

    @rule(fit=fits, move=st.sampled_from(["publish", "served", "replaced", "close"]))
    def push(self, fit: FitId, move: str) -> None:
        fits = self._ledger.fits
        moves = {
            "publish": fits.publish,
            "served": fits.served,
            "replaced": fits.replaced,
            "close": self._closed,
        }
        self._run(self._try(moves[move](fit)))

    async def _closed(self, fit: FitId) -> None:
        if (known := await self._ledger.fits.find(fit)) is not None:
            await self._ledger.fits.close(known)

    # Operators and housekeeping

    @rule(to=st.integers(1, 5))
    def roll_back(self, to: int) -> None:
        self._run(self._try(self._rolled_back(to)))

    async def _rolled_back(self, to: int) -> None:
        model = await self._ledger.names.find(NAME)
        head = await self._ledger.versions.rollback(model, to, "bob")
        self._facts.note_rollback(head, model, to)

    @rule(sure=st.integers(0, 4))
    def delete(self, sure: int) -> None:
        if sure == 4:  # seldom, or no history comes far
            self._run(self._try(self._ledger.versions.delete(NAME, "bob")))

    @rule(keep=st.integers(0, 2))
    def tidy(self, keep: int) -> None:
        self._run(self._try(self._tidied(keep)))

    async def _tidied(self, keep: int) -> None:
        """Do what the janitor does, without its grace."""
        model = await self._ledger.names.find(NAME)
        for version in await self._ledger.versions.retire(model, keep):
            await self._ledger.versions.remove(model, version)
        await self._ledger.versions.prune_fits(model, keep)

    # Troubles

    @rule()
    def lose_the_next_answer(self) -> None:
        self._store.loses = 1

    @invariant()
    def all_promises_hold(self) -> None:
        loses, self._store.loses = self._store.loses, 0
        self._run(self._facts.check())
        self._store.loses = loses


class RacingMachine(LedgerMachine):
    """The same with several moves at once, of which nobody can say in advance who comes first.

    A history cannot be replayed then, so what Hypothesis makes of a failure is not the shortest
    one, and it may call it flaky.
    """

    claims = LedgerMachine.claims

    @rule(claim=claims, to=st.integers(1, 5))
    def all_at_once(self, claim: Claim, to: int) -> None:
        async def moves() -> None:
            # It may end and be forgotten within this one step, and then nobody has seen the end.
            self._facts.note_may_end(claim.fit.id)
            await asyncio.gather(
                self._stored(claim),
                self._try(self._ledger.fits.publish(claim.fit.id)),
                self._try(self._rolled_back(to)),
                self._try(self._tidied(0)),
                self._try(self._closed(claim.fit.id)),
            )

        self._run(moves())


def _histories(count: int) -> settings:
    quiet = [HealthCheck.too_slow]
    return settings(max_examples=count, stateful_step_count=40, suppress_health_check=quiet)


def test_no_history_breaks_a_promise() -> None:
    run_state_machine_as_test(LedgerMachine, settings=_histories(50))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_none_of_500_histories_breaks_a_promise() -> None:
    run_state_machine_as_test(RacingMachine, settings=_histories(500))
