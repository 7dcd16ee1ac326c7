"""Opens the backends that the settings name."""

from __future__ import annotations

from pydantic import SecretStr

from tally.coordination.base import Coordinator
from tally.coordination.open import open_coordinator
from tally.fitqueue.base import FitQueue
from tally.fitqueue.open import open_queue
from tally.settings import Settings
from tally.store.base import Store
from tally.store.open import open_store


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
