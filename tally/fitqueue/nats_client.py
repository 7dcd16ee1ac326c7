"""The NATS client, made to trust the server no more than it must."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

MAX_MESSAGE_BYTES = 64 * 2**20
"""No server can be set to take more."""

_LEAST_PAYLOAD_BYTES = 512  # with less, not even streams could be asked for
_MAX_LINE_BYTES = 64 * 1024
_MISREAD = (AttributeError, LookupError, RecursionError, TypeError)
"""What nats-py raises where JSON is not what it takes for granted."""
_DENIED = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')
_RECENT = 256


class CarefulClient(Client):
    """nats-py's client, which tells no secrets in the clear, and which subject was denied.

    The server itself may be a stranger's: what it sends is bounded, and may be anything.
    """

    def __init__(self) -> None:
        super().__init__()
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._ps = _BoundedParser(self)

    async def publish(self, subject: str, *args: Any, **kwargs: Any) -> None:
        """See there."""
        self._recent.append(subject)
        await super().publish(subject, *args, **kwargs)

    async def subscribe(self, subject: str, *args: Any, **kwargs: Any) -> Subscription:
        """See there."""
        self._recent.append(subject)
        return await super().subscribe(subject, *args, **kwargs)

    def denied(self, error: Exception) -> tuple[str, str] | None:
        """Return what the server did not let us do, and on which subject; None: no such error."""
        found = _DENIED.search(str(error).lower())
        if found is None:
            return None
        # nats-py has made the subject lower case, and those of streams are not.
        spelled = {subject.lower(): subject for subject in self._recent}
        return found[1], spelled.get(found[2], found[2])

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except _MISREAD as error:
            raise nats.errors.ProtocolError from error

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        size = info.get("max_payload", _LEAST_PAYLOAD_BYTES)
        if not (isinstance(size, int) and size >= _LEAST_PAYLOAD_BYTES):
            raise nats.errors.ProtocolError
        await super()._process_info(info, initial_connection)

    def _connect_command(self) -> bytes:
        # The server's first line says whether to go on in TLS, and anyone on the way can forge it.
        if "tls" in self.options and not self._server_info.get("tls_required"):
            raise nats.errors.SecureConnWantedError
        return super()._connect_command()


class _BoundedParser(Parser):
    """Keeps no more of a message that has not ended yet than a message may have."""

    async def parse(self, data: bytes = b"") -> None:
        """Take what has come.

        Raises:
            ProtocolError: something never ends, or cannot be read; the client then closes the
                connection.
        """
        try:
            await super().parse(data)
        except (*_MISREAD, ValueError) as error:
            raise nats.errors.ProtocolError from error
        in_line = self.state == AWAITING_CONTROL_LINE
        if len(self.buf) > _MAX_LINE_BYTES if in_line else self.needed > MAX_MESSAGE_BYTES:
            raise nats.errors.ProtocolError
