"""A thin typed adapter over the etcd v3 calls that we need.

It uses aetcd's generated protocol stubs, and its own channels instead of `aetcd.Client`, which
has no TLS, one endpoint, no token renewal, hides the revision and term of answers, and queues
the events of a slow watch without bound.

Source: https://etcd.io/docs/v3.5/learning/api/.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from aetcd import rpc

from tally.coordination.etcd_connection import EtcdConnection, EtcdOptions, login_ran_out, until
from tally.coordination.etcd_messages import Answer, answer_of, prefix_range
from tally.coordination.etcd_stream import WatchStream, end_call
from tally.errors import Conflict, CoordinationUnavailable


class EtcdClient:
    """Calls to whichever endpoint is connected, each with a deadline."""

    def __init__(self, options: EtcdOptions) -> None:
        self._timeout_s = options.timeout_s
        self._connection = EtcdConnection(options)

    def __str__(self) -> str:
        return str(self._connection)

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    def forget_login(self) -> None:
        """Log in again before the next call."""
        self._connection.forget_token()

    # --- keys -------------------------------------------------------------------------------

    async def get(self, key: str) -> Answer:
        """Return the newest value of one key, as the majority knows it."""
        answer = await self._call(rpc.KVStub, "Range", rpc.RangeRequest(key=key.encode()))
        return answer_of(answer)

    async def get_with_range(self, key: str, prefix: str) -> tuple[Answer, Answer]:
        """Return one key and all keys under a prefix, both as of one revision."""
        ranges = (rpc.RangeRequest(key=key.encode()), prefix_range(prefix))
        request = rpc.TxnRequest(success=[rpc.RequestOp(request_range=each) for each in ranges])
        done = await self._call(rpc.KVStub, "Txn", request)
        one, many = (answer_of(each.response_range, done.header) for each in done.responses)
        return one, many

    async def put(self, key: str, value: bytes, lease_id: int = 0) -> int:
        """Set a key and return the revision of that; `Conflict` where there is no such lease."""
        request = rpc.PutRequest(key=key.encode(), value=value, lease=lease_id)
        answer = await self._call(rpc.KVStub, "Put", request)
        return int(answer.header.revision)

    async def replace(self, key: str, value: bytes, expected_revision: int) -> bool:
        """Set a key if that is its revision, 0 meaning that there is none."""
        request = rpc.TxnRequest(
            compare=[_revision_is(key, expected_revision)],
            success=[rpc.RequestOp(request_put=rpc.PutRequest(key=key.encode(), value=value))],
        )
        answer = await self._call(rpc.KVStub, "Txn", request)
        return bool(answer.succeeded)

    async def delete(self, key: str, expected_revision: int | None) -> bool:
        """Delete a key if it is there, with that revision if one is given; tell whether it was."""
        gone = rpc.DeleteRangeRequest(key=key.encode())
        if expected_revision is None:
            answer = await self._call(rpc.KVStub, "DeleteRange", gone)
            return bool(answer.deleted)
        request = rpc.TxnRequest(
            compare=[_revision_is(key, expected_revision)],
            success=[rpc.RequestOp(request_delete_range=gone)],
        )
        answer = await self._call(rpc.KVStub, "Txn", request)
        # A revision of 0 holds of a key that is not there, and deletes nothing.
        return bool(answer.succeeded and answer.responses[0].response_delete_range.deleted)

    # --- leases -----------------------------------------------------------------------------

    async def grant(self, ttl_s: int) -> int:
        """Create a lease and return its id."""
        answer = await self._call(rpc.LeaseStub, "LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl_s))
        return int(answer.ID)

    async def renew(self, lease_id: int, timeout_s: float) -> bool:
        """Extend a lease; False where it has ended.

        Args:
            lease_id: as granted.
            timeout_s: deadline of this call, which should leave time for another.
        """
        give_up = time.monotonic() + min(timeout_s, self._timeout_s)
        async with self._connection.translated():
            channel = await self._connection.connected(give_up)
            metadata = await self._connection.metadata(channel, give_up)
            call = rpc.LeaseStub(channel).LeaseKeepAlive(
                [rpc.LeaseKeepAliveRequest(ID=lease_id)],
                timeout=until(give_up),
                metadata=metadata,
            )
            try:
                async for answer in call:
                    # etcd says no more than this about a lease that it does not know.
                    return bool(answer.TTL > 0)
            finally:
                await end_call(call)
            raise CoordinationUnavailable(f"{self}: no answer to a lease renewal")

    async def revoke(self, lease_id: int) -> None:
        """End a lease and its keys; one that has ended already is none of our concern."""
        try:
            await self._call(rpc.LeaseStub, "LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease_id))
        except Conflict:
            return

    # --- watches ----------------------------------------------------------------------------

    @asynccontextmanager
    async def watch_stream(self) -> AsyncIterator[WatchStream]:
        """Open a connection's watch stream; errors inside the block are translated too."""
        give_up = time.monotonic() + self._timeout_s
        async with self._connection.translated():
            channel = await self._connection.connected(give_up)
            metadata = await self._connection.metadata(channel, give_up)
            call = rpc.WatchStub(channel).Watch(metadata=metadata)
            stream = WatchStream(call, str(self))
            try:
                yield stream
            finally:
                await stream.close()

    async def _call(self, stub: Any, method: str, request: Any) -> Any:
        """Make one call, and once more where only our login had run out."""
        give_up = time.monotonic() + self._timeout_s
        async with self._connection.translated():
            for attempt in range(2):
                channel = await self._connection.connected(give_up)
                try:
                    metadata = await self._connection.metadata(channel, give_up)
                    call = getattr(stub(channel), method)
                    return await call(request, timeout=until(give_up), metadata=metadata)
                except grpc.aio.AioRpcError as error:
                    if attempt or not login_ran_out(error):
                        raise
                    self._connection.forget_token()
        raise AssertionError("unreachable")


def _revision_is(key: str, revision: int) -> Any:
    """Return the condition that a key was last changed by that revision, 0: it is not there."""
    return rpc.Compare(
        key=key.encode(),
        target=rpc.Compare.MOD,
        result=rpc.Compare.EQUAL,
        mod_revision=revision,
    )
