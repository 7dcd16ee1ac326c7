"""One attempt at one fit, from the claimed row to the published version."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_random_exponential,
)

from model_api.children import Children
from model_api.jobs import Job
from model_api.metrics import FIT_SECONDS, FITS
from tally.announce import announce
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
from tally.ledger.fits import Claim, Fitted
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
        beat_s: float,
        max_tries: int,
    ) -> None:
        self._ledger = ledger
        self._coordinator = coordinator
        self._children = children
        self._timeout_s = timeout_s
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
        except* ClaimLost as lost:
            log.warning("claim lost", reason=str(lost.exceptions[0]))
        except* TallyError as broken:
            # Its rows cannot be read, say. The claim dies, and after some tries the fit FAILED.
            log.error("attempt broken off", reason=str(broken.exceptions[0]))
        if fit is None:
            return None
        if fit.state is FitState.STORED:
            fit = await self.publish(fit.id)
        elif fit.state.ended:
            await self._close(fit)
        log.info("attempt ended", state=fit.state, version=fit.version, reason=fit.reason)
        FITS.labels(fit.state).inc()
        return fit

    async def _attempt(self, claim: Claim, progress: _Progress) -> Fit:
        """Return the fit as STORED, or FAILED, or QUEUED for another try."""
        try:
            fitted = await self._fit_and_store(claim, progress)
        except ClaimLost:
            raise
        except TallyError as error:
            reason = str(error)
            retryable = isinstance(error, FitFailed) and error.retryable
            return await _patiently(
                lambda: self._ledger.fits.fail(
                    claim, reason, retryable=retryable, max_tries=self._max_tries
                )
            )
        return await _patiently(lambda: self._ledger.fits.store(claim, fitted))

    async def _fit_and_store(self, claim: Claim, progress: _Progress) -> Fitted:
        fit = claim.fit
        try:
            series = await _patiently(lambda: self._ledger.fits.payload(fit))
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
        blob = await _patiently(lambda: self._ledger.store.put_blob(claim.blob, outcome.data))
        progress.set(0.95, "reading it back")
        try:
            stored = await _patiently(lambda: self._ledger.store.get_blob(blob))
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
        fit = await _patiently(lambda: self._ledger.fits.publish(fit_id))
        if fit.state is FitState.PUBLISHED:
            await self.announce(fit.model)
        elif fit.state.ended:
            await self._close(fit)
        return fit

    async def _close(self, fit: Fit) -> None:
        await _patiently(lambda: self._ledger.fits.close(fit))

    async def announce(self, model: ModelUuid) -> None:
        """Tell the coordinator what the store has decided, if it is in reach."""
        head = await _patiently(lambda: self._ledger.versions.head(model))
        if head is None:
            return
        try:
            await announce(self._coordinator, model, head)
        except CoordinationUnavailable as error:
            _log.warning("head not announced yet", model=head.name, reason=str(error))

    async def _beat(self, claim: Claim, progress: _Progress) -> None:
        """Renew the claim until cancelled; a store that is away is waited for.

        Should it be away for long, another worker takes the fit over, and the next beat says so.
        """
        while True:
            await asyncio.sleep(self._beat_s)
            await _patiently(lambda: claim.renew(progress.fraction, progress.doing))


class _Progress:
    """How far the fit is, as the heartbeat tells it."""

    def __init__(self) -> None:
        self.fraction = 0.0
        self.doing = "starting"

    def set(self, fraction: float, doing: str) -> None:
        self.fraction, self.doing = fraction, doing


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Return what `call` returns, called again for as long as the store is away.

    Every call here is safe to repeat, also after an unknown outcome: the ledger recognises its
    own earlier success.
    """
    again = AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_random_exponential(multiplier=_FIRST_RETRY_S, max=_LAST_RETRY_S),
        before_sleep=_log_away,
    )

    async def attempt() -> T:
        # Tenacity awaits only what it can tell to be a coroutine function; a lambda is none.
        return await call()

    return await again(attempt)


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
