"""Who signed a request: the check that stands before everything else."""

from __future__ import annotations

from dataclasses import dataclass, field

from broker.edge.symetry.beside import beside
from tally.clock import Clock
from tally.user_keys import UserKeys
from tally.wire.credentials import Credentials
from tally.wire.secret_key import SecretKey
from tally.wire.signing import SignedRequest, verify
from tally.wire.socket_frames import Frame, Header, verify_frame
from tally.wire.status import Refused, StatusCode


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a message, and with which key."""

    cid: str
    key: SecretKey | None = field(repr=False)


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
        await beside(
            len(request.body), verify, request, credentials, key, public_origin=self._public_origin
        )

    async def check_frame(self, path: str, host: str, header: Header, frame: Frame) -> Signer:
        """Return the customer whom a message names, and who signed it.

        Raises:
            Refused: 400 or 401, as for a request.
        """
        credentials = header.credentials(self._clock)
        key = await self._keys.get(header.cid)
        await beside(
            len(frame.payload),
            verify_frame,
            path,
            header,
            frame.payload,
            credentials,
            key,
            host=host,
            public_origin=self._public_origin,
        )
        return Signer(header.cid, key)

    async def check_still(self, signer: Signer) -> None:
        """Return if a customer who signed an earlier message still has the key of then.

        Raises:
            Refused: 401, it was rotated, or the customer deleted.
        """
        if (key := await self._keys.get(signer.cid)) is None:
            raise Refused("Invalid User", StatusCode.UNAUTHORIZED)
        if key != signer.key:
            raise Refused("Invalid Signature", StatusCode.UNAUTHORIZED)
