"""One watch stream of etcd, read without ever losing what was being read."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
from aetcd import rpc

from tally.coordination.etcd_messages import WatchMessage, prefix_range, watch_message_of
from tally.errors import CoordinationUnavailable


class WatchStream:
    """One open stream, with any number of watches on it."""

    def __init__(self, call: Any, name: str) -> None:
        self._call = call
        self._name = name
        self._reading: asyncio.Future[Any] | None = None

    async def close(self) -> None:
        """End the stream, and whatever waits for it."""
        await end_call(self._call)
        if self._reading is not None:
            # Its outcome belongs to nobody any more.
            await asyncio.gather(self._reading, return_exceptions=True)

    async def add_prefix(self, prefix: str, revision: int) -> None:
        """Ask for all changes under a prefix from `revision` on."""
        await self._add(prefix_range(prefix), revision)

    async def add_key(self, key: str, revision: int) -> None:
        """Ask for all changes of one key from `revision` on."""
        await self._add(rpc.RangeRequest(key=key.encode()), revision)

    async def ask_for_progress(self) -> None:
        """Ask for any answer."""
        await self._write(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    async def read(self, timeout_s: float) -> WatchMessage | None:
        """Return the next message, None if there is none for that long."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._call.read())
        # Not `wait_for`: cancelling a read would cancel the stream.
        done, _ = await asyncio.wait({self._reading}, timeout=timeout_s)
        if not done:
            return None
        message = self._reading.result()
        self._reading = None
        if message is grpc.aio.EOF:
            raise CoordinationUnavailable(f"{self._name}: it ended the watch stream")
        return watch_message_of(message)

    async def _add(self, keys: Any, revision: int) -> None:
        create = rpc.WatchCreateRequest(
            key=keys.key, range_end=keys.range_end, start_revision=revision
        )
        await self._write(rpc.WatchRequest(create_request=create))

    async def _write(self, request: Any) -> None:
        try:
            await self._call.write(request)
        except asyncio.InvalidStateError:
            # This is how gRPC says that the stream has ended meanwhile.
            raise CoordinationUnavailable(f"{self._name}: the watch stream ended") from None


async def end_call(call: Any) -> None:
    """End a stream, and the tasks that gRPC runs for it."""
    call.cancel()
    await call.code()
