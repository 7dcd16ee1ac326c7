"""Snapshots too large for a message, in the federation's object store.

An object is as other clients of NATS make and read them: pieces under one subject, and then a
description that tells this subject. Pieces lie under their peer's uuid, so that a peer finds its
own also where it died, or lost NATS, before it had described them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime

import nats.js.errors
from nats.js import api
from nats.js.object_store import ObjectStore

from tally.federation.nats import failures
from tally.federation.nats.names import Names
from tally.federation.nats.session import Session
from tally.federation.transport import TransportFull

_PIECE_BYTES = 128 * 1024
_BYTES_PER_S = 2 * 1024 * 1024
_KEY = re.compile(r"[0-9A-Za-z-]{1,64}/[0-9]{1,20}-[0-9]{1,20}(-[0-9a-f]{1,32})?")


class Objects:
    """The objects of a federation, of which a peer writes and removes its own.

    Args:
        session: the connection.
        names: of the federation.
        uuid: of the peer.
    """

    def __init__(self, session: Session, names: Names, uuid: str) -> None:
        self._jetstream = session.jetstream
        self._stream = names.object_stream
        self._names = names
        self._uuid = uuid
        self._piece_bytes = min(_PIECE_BYTES, session.client.max_payload // 2)
        self._store = ObjectStore(names.bucket, names.object_stream, session.jetstream)

    async def put(self, key: str, body: bytes) -> None:
        """Store an object of this peer's; in a full store, in place of those before.

        Raises:
            TransportFull: there is no room for it even so; nothing of it stays.
            TransportUnavailable: NATS did not answer.
        """
        try:
            await self._put(key, body)
        except TransportFull:
            await self.remove_all_but(None)
            try:
                await self._put(key, body)
            except TransportFull:
                await self.remove_all_but(None)
                raise

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
        """Remove this peer's objects except one, and pieces that nothing describes."""
        names, kept = self._names, None if key is None else self._names.pieces_of(key)
        async with failures.within(failures.ANSWER_S, "object store"):
            own = names.pieces_of(f"{self._uuid}/*")
            info = await self._jetstream.stream_info(self._stream, own)
            for pieces in info.state.subjects or ():
                if pieces == kept:
                    continue
                described = names.description_of(f"{self._uuid}/{pieces.rpartition('.')[2]}")
                # First the description: what nobody can find, nobody begins to read.
                await self._jetstream.purge_stream(self._stream, subject=described)
                await self._jetstream.purge_stream(self._stream, subject=pieces)

    async def _put(self, key: str, body: bytes) -> None:
        pieces = self._names.pieces_of(key)
        starts = range(0, len(body), self._piece_bytes)
        digest = hashlib.sha256()
        async with failures.within(_long(len(body)), "object store"):
            for start in starts:
                piece = body[start : start + self._piece_bytes]
                digest.update(piece)
                await self._jetstream.publish(pieces, piece, stream=self._stream)
            sha256 = base64.urlsafe_b64encode(digest.digest()).decode()
            info = api.ObjectInfo(
                name=key,
                bucket=self._names.bucket,
                nuid=self._names.token_of(key),
                size=len(body),
                mtime=datetime.now(UTC).isoformat(),
                chunks=len(starts),
                digest=f"SHA-256={sha256}",
                options=api.ObjectMetaOptions(max_chunk_size=self._piece_bytes),
            )
            await self._jetstream.publish(
                self._names.description_of(key),
                json.dumps(info.as_dict()).encode(),
                stream=self._stream,
                headers={api.Header.ROLLUP: "sub"},
            )

    async def _read(self, key: str, size_bytes: int) -> bytes | None:
        # By hand: the client's own `get` waits for ever for a piece that was removed meanwhile.
        info = await self._store.get_info(key)
        if info.size != size_bytes:
            return None
        subject = f"$O.{self._names.bucket}.C.{info.nuid}"
        pieces: list[bytes] = []
        held, after = 0, 0
        while held < size_bytes:
            piece = await self._jetstream.get_msg(
                self._stream, seq=after + 1, subject=subject, direct=True, next=True
            )
            if piece.data is None or piece.seq is None:
                return None
            pieces.append(piece.data)
            held, after = held + len(piece.data), piece.seq
        return b"".join(pieces) if held == size_bytes else None


def _long(size_bytes: int) -> float:
    return failures.ANSWER_S + size_bytes / _BYTES_PER_S
