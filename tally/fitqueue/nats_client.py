"""The NATS client, made to trust the server no more than it must."""

from __future__ import annotations

import nats.errors
from nats.aio.client import Client
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

MAX_MESSAGE_BYTES = 64 * 2**20
"""No server can be set to take more."""

_MAX_LINE_BYTES = 64 * 1024


class CarefulClient(Client):
    """A client that tells its password to nobody in the clear if TLS was asked for.

    The server's first line says whether to go on in TLS, and anyone on the way can forge it. The
    server itself may be a stranger's: what it sends is bounded.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ps = _BoundedParser(self)

    def _connect_command(self) -> bytes:
        if "tls" in self.options and not self._server_info.get("tls_required"):
            raise nats.errors.SecureConnWantedError
        return super()._connect_command()


class _BoundedParser(Parser):
    """Keeps no more of a message that has not ended yet than a message may have."""

    async def parse(self, data: bytes = b"") -> None:
        """Take what has come.

        Raises:
            ProtocolError: something never ends; the client then closes the connection.
        """
        await super().parse(data)
        in_line = self.state == AWAITING_CONTROL_LINE
        if len(self.buf) > _MAX_LINE_BYTES if in_line else self.needed > MAX_MESSAGE_BYTES:
            raise nats.errors.ProtocolError
