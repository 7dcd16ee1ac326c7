"""What NATS and its client may raise, as the errors of the port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import nats.errors
import nats.js.errors

from tally.errors import QueueUnavailable
from tally.federation.transport import TransportFull, TransportUnavailable

ANSWER_S = 5.0
"""So long the broker has for one answer."""

NO_ROOM = 10077
"""The server's code: the stream has no room for the message."""

NO_MEMORY, NO_STORAGE, NO_SHARE = 10028, 10047, 10002
"""The server's codes: it, or our account, cannot reserve so much as the stream may hold."""

NAME_IN_USE, SUBJECTS_OVERLAP = 10058, 10065
"""The server's codes: another stream has the name, or some of the subjects."""


@contextlib.asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[asyncio.Timeout]:
    """Bound what is done with NATS, and translate what it raises; give the bound.

    Raises:
        TransportUnavailable: NATS did not answer, or not as it should.
        TransportFull: it has no room.
    """
    try:
        async with asyncio.timeout(seconds) as scope:
            yield scope
        # Before 3.12, wait_for, on which nats-py stands, forgets a cancellation that comes
        # together with what it waits for: the task would go on for ever.
        heed_cancellation()
    except nats.js.errors.APIError as error:
        reason = f"NATS, {what}: {error.description or type(error).__name__}"
        if error.err_code == NO_ROOM:
            raise TransportFull(reason) from error
        raise TransportUnavailable(reason) from error
    except nats.errors.MaxPayloadError as error:
        raise TransportFull(f"NATS, {what}: the message is larger than max_payload") from error
    except (nats.errors.Error, QueueUnavailable, OSError, ValueError, KeyError) as error:
        heed_cancellation(error)
        reason = (
            f"no answer within {seconds:g} s" if isinstance(error, TimeoutError) else f"{error}"
        )
        raise TransportUnavailable(f"NATS, {what}: {reason or type(error).__name__}") from error
    except asyncio.CancelledError as error:
        # nats-py cancels what waits for an answer when its connection closes.
        heed_cancellation(error)
        raise TransportUnavailable(f"NATS, {what}: the connection was closed") from error


def heed_cancellation(error: BaseException | None = None) -> None:
    """Let a cancellation of ours through; nats-py takes it for its own if both come at once."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error
