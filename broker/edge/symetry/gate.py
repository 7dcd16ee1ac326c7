"""Who signed a request: the check that stands before everything else."""

from __future__ import annotations

import asyncio

from tally.clock import Clock
from tally.user_keys import UserKeys
from tally.wire.credentials import Credentials
from tally.wire.signing import SignedRequest, verify
from tally.wire.socket_frames import Frame, Header, verify_frame

_INLINE_BYTES = 64 * 2**10  # below it hashing is shorter than handing it to a thread


class Gate:
    """Lets through what a customer signed.

    Args:
        keys: of the customers.
        clock: whose wall time dates are compared with.
        public_origin: scheme and authority that clients reach us by; empty: as the Host says.
    """

    def __init__(self, keys: UserKeys, clock: Clock, public_origin: str) -> None:
        self._keys = keys
        self._clock = clock
        self._public_origin = public_origin

    def credentials(self, headers: dict[str, str]) -> Credentials:
        """Return what the headers say of the signer, before the body is read.

        Raises:
            Refused: 400, they say nothing, or their date is wrong.
        """
        return Credentials.read(headers, self._clock)

    async def check(self, request: SignedRequest, credentials: Credentials) -> None:
        """Return if the customer in the path signed the request.

        Raises:
            Refused: 401, or 400 where the body's digest differs.
        """
        key = await self._keys.get(request.cid)
        if len(request.body) <= _INLINE_BYTES:
            verify(request, credentials, key, public_origin=self._public_origin)
        else:
            await asyncio.to_thread(
                verify, request, credentials, key, public_origin=self._public_origin
            )

    async def check_frame(self, path: str, host: str, header: Header, frame: Frame) -> None:
        """Return if the customer whom a message names signed it.

        Raises:
            Refused: 400 or 401, as for a request.
        """
        credentials = header.credentials(self._clock)
        key = await self._keys.get(header.cid)

        def judge() -> None:
            verify_frame(
                path,
                header,
                frame.payload,
                credentials,
                key,
                host=host,
                public_origin=self._public_origin,
            )

        if len(frame.payload) <= _INLINE_BYTES:
            judge()
        else:
            await asyncio.to_thread(judge)
