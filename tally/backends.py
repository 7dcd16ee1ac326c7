"""Opens the backends that the settings name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from types import TracebackType

import structlog
from pydantic import SecretStr

from tally.coordination.base import Coordinator
from tally.coordination.open import open_coordinator
from tally.errors import StoreUnavailable
from tally.fitqueue.base import FitQueue
from tally.fitqueue.open import open_queue
from tally.settings import Settings
from tally.store.base import Store
from tally.store.open import open_store

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.25, 5.0
_log = structlog.get_logger()


class Backends:
    """The backends of one process: each opened when it is first asked for, all closed together.

    Services that run in one process share them.

    Args:
        settings: that name them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._store: Store | None = None
        self._coordinator: Coordinator | None = None
        self._queue: FitQueue | None = None

    async def __aenter__(self) -> Backends:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what was opened."""
        await self._opened.aclose()

    async def store(self) -> Store:
        """Return the store; one that is away is waited for, as long as the settings say.

        Raises:
            StoreUnavailable: it was away for too long.
            ConfigurationError: it cannot be used.
        """
        async with self._opening:
            if self._store is None:
                self._store = await patient_store(self._settings)
                self._opened.push_async_callback(self._store.close)
            return self._store

    def coordinator(self) -> Coordinator:
        """Return the coordinator, which need not be in reach yet."""
        if self._coordinator is None:
            self._coordinator = coordinator(self._settings)
            self._opened.push_async_callback(self._coordinator.close)
        return self._coordinator

    def queue(self) -> FitQueue:
        """Return the fit queue, which need not be in reach yet."""
        if self._queue is None:
            self._queue = queue(self._settings)
            self._opened.push_async_callback(self._queue.close)
        return self._queue


@asynccontextmanager
async def shared_or_own(shared: Backends | None, settings: Settings) -> AsyncIterator[Backends]:
    """Give the backends that others of this process use, or one's own for the block."""
    if shared is not None:
        yield shared
        return
    async with Backends(settings) as own:
        yield own


async def patient_store(settings: Settings) -> Store:
    """Return the store of these settings, waiting for one that is away when a process starts.

    Raises:
        StoreUnavailable: it was away for `store_start_wait_s`.
    """
    loop = asyncio.get_running_loop()
    give_up, pause_s = loop.time() + settings.store_start_wait_s, _FIRST_PAUSE_S
    while True:
        try:
            return await store(settings)
        except StoreUnavailable as error:
            if loop.time() + pause_s > give_up:
                raise
            if pause_s == _FIRST_PAUSE_S:
                _log.warning(
                    "store away, waiting", for_s=settings.store_start_wait_s, reason=str(error)
                )
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LAST_PAUSE_S)


@contextmanager
def _own_sentence_only() -> Iterator[None]:
    """Keep the CQL driver from logging two stacks where it cannot connect; our error says it."""
    driver = logging.getLogger("cassandra")
    level = driver.level
    driver.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        driver.setLevel(level)


def coordinator(settings: Settings) -> Coordinator:
    """Return the coordinator of these settings."""
    return open_coordinator(
        settings.coordination(),
        prefix=settings.coordination_prefix,
        ca_file=settings.coordination_ca,
        cert_file=settings.coordination_cert,
        key_file=settings.coordination_key,
        user=settings.coordination_user or None,
        password=_told(settings.coordination_password),
    )


async def store(settings: Settings) -> Store:
    """Return the store of these settings, connected and checked."""
    with _own_sentence_only():
        return await open_store(
            settings.store(),
            blob_url=settings.blob_url,
            blob_threshold_bytes=settings.blob_threshold_bytes,
            ca_file=settings.store_ca,
            cert_file=settings.store_cert,
            key_file=settings.store_key,
            user=settings.store_user or None,
            password=_told(settings.store_password),
            replication=settings.store_replication,
        )


def queue(settings: Settings, redeliver_after_s: float = 30.0) -> FitQueue:
    """Return the fit queue of these settings."""
    return open_queue(
        settings.queue(),
        redeliver_after_s=redeliver_after_s,
        ca_file=settings.queue_ca,
        cert_file=settings.queue_cert,
        key_file=settings.queue_key,
        user=settings.queue_user or None,
        password=_told(settings.queue_password),
        token=_told(settings.queue_token),
        nkey_file=settings.queue_nkey_file,
        credentials_file=settings.queue_credentials_file,
    )


def _told(secret: SecretStr) -> str | None:
    return secret.get_secret_value() or None
