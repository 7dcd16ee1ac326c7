"""One attempt at one fit, from the claimed row to the published version."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from model_api.children import Children
from model_api.jobs import Job
from model_api.metrics import FIT_SECONDS, FITS
from tally.announce import announce_head
from tally.calendar import Frequency
from tally.coordination.base import Coordinator
from tally.errors import (
    ClaimLost,
    CoordinationUnavailable,
    CorruptState,
    FitFailed,
    InvalidInput,
    NotFound,
    StoreUnavailable,
    TallyError,
)
from tally.forecast.scores import Backtest
from tally.ids import FitId, ModelUuid
from tally.ledger import Ledger
from tally.ledger.attempts import Claim, Fitted
from tally.ledger.records import Fit, FitState

T = TypeVar("T")

_VERIFY_TIMEOUT_S = 60.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.1, 5.0
_log = structlog.get_logger()


class FitService:
    """Does claimed fits.

    Args:
        ledger: where fits are written down.
        coordinator: where heads are announced.
        children: the processes that compute.
        timeout_s: how long one fit may compute.
        store_wait_s: how long the store may be away before a fit is given back.
        beat_s: how often a heartbeat is written.
        max_tries: then a fit is a dead letter.
    """

    def __init__(
        self,
        ledger: Ledger,
        coordinator: Coordinator,
        children: Children,
        *,
        timeout_s: float,
        store_wait_s: float,
        beat_s: float,
        max_tries: int,
    ) -> None:
        self._ledger = ledger
        self._coordinator = coordinator
        self._children = children
        self._timeout_s = timeout_s
        self._store_wait_s = store_wait_s
        self._beat_s = beat_s
        self._max_tries = max_tries

    async def carry_out(self, claim: Claim) -> Fit | None:
        """Fit, store and publish; return how the fit stands, None if the claim was lost."""
        log = _log.bind(
            request_id=claim.fit.request_id,
            fit=claim.fit.id,
            model=claim.fit.name,
            attempt=claim.fit.attempt,
        )
        log.info("fit claimed", algorithm=claim.fit.request.algorithm)
        progress = _Progress()
        fit: Fit | None = None
        try:
            # The heartbeat ends with what it stands for: once stored or failed, no claim is left.
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(self._beat(claim, progress))
                fit = await self._attempt(claim, progress)
                beat.cancel()
            if fit.state is FitState.STORED:
                fit = await self.publish(fit.id)
            elif fit.state.ended:
                await self._close(fit)
        except* ClaimLost as lost:
            log.warning("claim lost", reason=_first(lost))
        except* StoreUnavailable as away:
            # Whatever was not written yet, the reconciler finds: a claim that is dead, or a model
            # that is stored.
            log.warning("attempt left to others: the store is away", reason=_first(away))
        except* TallyError as broken:
            # Its rows cannot be read, say. The claim dies, and after some tries the fit FAILED.
            log.error("attempt broken off", reason=_first(broken))
        if fit is None:
            return None
        log.info("attempt ended", state=fit.state, version=fit.version, reason=fit.reason)
        FITS.labels(fit.state).inc()
        return fit

    async def _attempt(self, claim: Claim, progress: _Progress) -> Fit:
        """Return the fit as STORED, or FAILED, or QUEUED for another try."""
        try:
            fitted = await self._fit_and_store(claim, progress)
        except ClaimLost:
            raise
        except StoreUnavailable as error:
            # Perhaps for the bytes alone, which S3 keeps. The worker is needed for other fits.
            return await self._give_back(claim, error)
        except TallyError as error:
            reason = str(error)
            retryable = isinstance(error, FitFailed) and error.retryable
            return await self._patiently(
                lambda: self._ledger.fits.fail(
                    claim, reason, retryable=retryable, max_tries=self._max_tries
                )
            )
        return await self._patiently(lambda: self._ledger.fits.store(claim, fitted))

    async def _give_back(self, claim: Claim, cause: StoreUnavailable) -> Fit:
        reason = f"the store was away for {self._store_wait_s:g} s: {cause}"
        _log.warning("fit given back", fit=claim.fit.id, reason=reason)
        queued = await self._patiently(lambda: self._ledger.fits.give_back(claim, reason))
        if queued is None:
            raise ClaimLost(f"fit {claim.fit.id}: attempt {claim.fit.attempt} no longer counts")
        return queued

    async def _fit_and_store(self, claim: Claim, progress: _Progress) -> Fitted:
        fit = claim.fit
        try:
            series = await self._patiently(lambda: self._ledger.fits.payload(fit))
        except (NotFound, CorruptState) as error:
            raise FitFailed(f"the stored series cannot be read: {error}") from error
        request = fit.request
        job = Job(
            kind="fit",
            bytes=len(series),
            algorithm=request.algorithm,
            options=request.options,
            period=request.period,
            natural=_natural(request.frequency),
        )
        outcome = await self._children.run(
            job, series, timeout_s=self._timeout_s, progress=progress.set
        )
        progress.set(0.9, "storing")
        FIT_SECONDS.observe(outcome.reply.seconds)
        blob = await self._patiently(lambda: self._ledger.store.put_blob(claim.blob, outcome.data))
        progress.set(0.95, "reading it back")
        try:
            stored = await self._patiently(lambda: self._ledger.store.get_blob(blob))
        except (NotFound, CorruptState) as error:
            raise FitFailed(f"the model was not stored whole: {error}", retryable=True) from error
        # A fresh process, so that nothing the fit left in memory makes it work by chance.
        check = Job(kind="verify", bytes=len(stored))
        await self._children.run(check, stored, timeout_s=_VERIFY_TIMEOUT_S)
        reply = outcome.reply
        return Fitted(
            blob=blob,
            algorithm=reply.algorithm,
            options=reply.options,
            period=reply.period,
            fit_seconds=reply.seconds,
            backtest=msgspec.json.decode(reply.backtest, type=Backtest),
        )

    async def publish(self, fit_id: FitId) -> Fit:
        """Move the head to a stored fit's version, announce it, and close what ended."""
        fit = await self._patiently(lambda: self._ledger.fits.publish(fit_id))
        if fit.state is FitState.PUBLISHED:
            await self.announce(fit.model)
        elif fit.state.ended:
            await self._close(fit)
        return fit

    async def _close(self, fit: Fit) -> None:
        await self._patiently(lambda: self._ledger.fits.close(fit))

    async def announce(self, model: ModelUuid) -> None:
        """Tell the coordinator what the store has decided, if it is in reach."""
        try:
            await self._patiently(
                lambda: announce_head(self._ledger.versions, self._coordinator, model)
            )
        except CoordinationUnavailable as error:
            _log.warning("head not announced yet", model=model, reason=str(error))

    async def _beat(self, claim: Claim, progress: _Progress) -> None:
        """Renew the claim until cancelled; a store that is away is waited for.

        Should it be away for long, another worker takes the fit over, and the next beat says so.
        What the attempt itself needs of the store has a bound; the beat ends with the attempt.
        """
        while True:
            await asyncio.sleep(self._beat_s)
            with contextlib.suppress(StoreUnavailable):
                await self._patiently(lambda: claim.renew(progress.fraction, progress.doing))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` returns, called again while the store is away, but not for ever.

        Every call here is safe to repeat, also after an unknown outcome: the ledger recognises its
        own earlier success.

        Raises:
            StoreUnavailable: it was away for too long.
        """
        again = AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=wait_random_exponential(multiplier=_FIRST_RETRY_S, max=_LAST_RETRY_S),
            stop=stop_after_delay(self._store_wait_s),
            before_sleep=_log_away,
            reraise=True,
        )

        async def attempt() -> T:
            # Tenacity awaits only what it can tell to be a coroutine function; a lambda is none.
            return await call()

        return await again(attempt)


class _Progress:
    """How far the fit is, as the heartbeat tells it."""

    def __init__(self) -> None:
        self.fraction = 0.0
        self.doing = "starting"

    def set(self, fraction: float, doing: str) -> None:
        self.fraction, self.doing = fraction, doing


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    """Return the sentence of the first error in a group, which may hold groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def _log_away(state: RetryCallState) -> None:
    assert state.outcome is not None
    _log.warning("store away, trying again", reason=str(state.outcome.exception()))


def _natural(frequency: str) -> tuple[int, ...] | None:
    if not frequency:
        return None
    try:
        return Frequency.parse(frequency).seasons or None
    except InvalidInput as error:  # a broker of another release knows frequencies that we do not
        raise FitFailed(str(error)) from error
