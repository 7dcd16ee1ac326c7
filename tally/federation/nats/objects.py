"""Snapshots too large for a message, in the federation's object store."""

from __future__ import annotations

import base64
import binascii
import re

import nats.js.errors
from nats.js import JetStreamContext, api
from nats.js.object_store import ObjectStore

from tally.federation.nats import failures
from tally.federation.nats.names import Names
from tally.federation.transport import TransportFull

_CHUNK_BYTES = 128 * 1024
_BYTES_PER_S = 2 * 1024 * 1024
_KEY = re.compile(r"[0-9A-Za-z-]{1,64}/[0-9]{1,20}-[0-9]{1,20}(-[0-9a-f]{1,32})?")


class Objects:
    """The objects of a federation, of which a peer writes and removes its own.

    Args:
        jetstream: of a connection.
        names: of the federation.
        uuid: of the peer.
        max_payload: the most bytes of one message.
    """

    def __init__(
        self, jetstream: JetStreamContext, names: Names, uuid: str, max_payload: int
    ) -> None:
        self._jetstream = jetstream
        self._names = names
        self._uuid = uuid
        self._chunk_bytes = min(_CHUNK_BYTES, max_payload // 2)
        self._store = ObjectStore(names.bucket, names.object_stream, jetstream)

    async def put(self, key: str, body: bytes) -> None:
        """Store an object of this peer's; in a full store, in place of those before.

        Raises:
            TransportFull: there is no room for it even so.
            TransportUnavailable: NATS did not answer.
        """
        try:
            await self._put(key, body)
        except TransportFull:
            await self.remove_all_but(None)
            await self._put(key, body)

    async def fetch(self, key: str, size_bytes: int) -> bytes | None:
        """Return an object; None: it is not there, or has another size, or goes as we read."""
        if not _KEY.fullmatch(key):
            return None
        async with failures.within(_long(size_bytes), "object store"):
            try:
                return await self._read(key, size_bytes)
            except nats.js.errors.NotFoundError:
                return None

    async def remove_all_but(self, key: str | None) -> None:
        """Remove this peer's objects except one."""
        stream, bucket = self._names.object_stream, self._names.bucket
        async with failures.within(failures.ANSWER_S, "object store"):
            for name, subject in (await self._own()).items():
                if name == key:
                    continue
                info = await self._store.get_info(name, show_deleted=True)
                # Its description first: what nobody can find, nobody begins to read.
                await self._jetstream.purge_stream(stream, subject=subject)
                await self._jetstream.purge_stream(stream, subject=f"$O.{bucket}.C.{info.nuid}")

    async def _put(self, key: str, body: bytes) -> None:
        meta = api.ObjectMeta(
            name=key, options=api.ObjectMetaOptions(max_chunk_size=self._chunk_bytes)
        )
        async with failures.within(_long(len(body)), "object store"):
            await self._store.put(key, body, meta)

    async def _read(self, key: str, size_bytes: int) -> bytes | None:
        # By hand: the client's own `get` waits for ever for a chunk that was removed meanwhile.
        info = await self._store.get_info(key)
        if info.size != size_bytes:
            return None
        subject = f"$O.{self._names.bucket}.C.{info.nuid}"
        chunks: list[bytes] = []
        held, after = 0, 0
        while held < size_bytes:
            chunk = await self._jetstream.get_msg(
                self._names.object_stream, seq=after + 1, subject=subject, direct=True, next=True
            )
            if chunk.data is None or chunk.seq is None:
                return None
            chunks.append(chunk.data)
            held, after = held + len(chunk.data), chunk.seq
        return b"".join(chunks) if held == size_bytes else None

    async def _own(self) -> dict[str, str]:
        """Return the subjects of the descriptions of this peer's objects, by their names."""
        filter_ = f"$O.{self._names.bucket}.M.>"
        info = await self._jetstream.stream_info(self._names.object_stream, filter_)
        names = {_name_in(subject): subject for subject in info.state.subjects or ()}
        return {n: subject for n, subject in names.items() if n.startswith(f"{self._uuid}/")}


def _name_in(subject: str) -> str:
    try:
        return base64.urlsafe_b64decode(subject.rpartition(".")[2]).decode()
    except (binascii.Error, ValueError):
        return ""


def _long(size_bytes: int) -> float:
    return failures.ANSWER_S + size_bytes / _BYTES_PER_S
