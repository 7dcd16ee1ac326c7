"""Fit queues on NATS servers that a test may kill, empty and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import pytest

from tally.fitqueue.base import FitQueue
from tally.fitqueue.open import open_queue

if TYPE_CHECKING:
    from tests.conftest import Server

OpenQueue = Callable[..., FitQueue]


@pytest.fixture
async def open_client() -> AsyncIterator[OpenQueue]:
    """Give `open_queue`, and close what it opened when the test ends."""
    opened: list[FitQueue] = []

    def open_one(url: str, **options: object) -> FitQueue:
        opened.append(open_queue(url, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for queue in opened:
        await queue.close()


@pytest.fixture
def queue(private_nats: Server, open_client: OpenQueue) -> FitQueue:
    return open_client(private_nats.url)
