"""Joining over HTTP, where nobody answers at the broker: the admin has a server as well."""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from model_api.fusion.fetching import CellFailed
from model_api.fusion.remote import checked_origin, read_body
from tally.federation.errors import CannotJoin, TokenExpired, TokenInvalid, TokenUsed
from tally.wire.federation import JOIN_ACK

_WAIT_S = 10.0
_PATH = re.compile(r"/symetry/rest/[^/]+/fedml/[^/]+/createPolicies$")
_MAX_ANSWER_BYTES = 4 * 2**20  # a roster of a thousand peers, contract and all


class _Envelope(msgspec.Struct):
    statusString: str = ""  # noqa: N815 - as it is on the wire
    values: dict[str, str] = {}


class AdminByHttp:
    """Sends requests to join to admins' servers.

    Args:
        session: HTTP client, from `model_api.fusion.remote.remote_session`.
        trust_all: plain HTTP may go anywhere.
    """

    def __init__(self, session: aiohttp.ClientSession, *, trust_all: bool) -> None:
        self._session = session
        self._trust_all = trust_all

    async def ask(self, url: str, request: bytes) -> bytes:
        """Return the admin's sealed answer.

        Args:
            url: of the invitation.
            request: sealed, too.

        Raises:
            TokenInvalid, TokenExpired, TokenUsed: the token may not be used.
            CannotJoin: there is no answer; says why.
        """
        try:
            parts = urlsplit(url)
            if not _PATH.search(parts.path):
                raise ValueError(url)
            origin = checked_origin(f"{parts.scheme}://{parts.netloc}", trust_all=self._trust_all)
        except (ValueError, CellFailed):
            raise CannotJoin(
                "fed_rest_url is not https://name:port/symetry/rest/{cid}/fedml/{pid}/createPolicies"
            ) from None
        try:
            async with self._session.post(
                URL(origin + parts.path, encoded=True),
                data=base64.b64encode(request),
                timeout=aiohttp.ClientTimeout(total=_WAIT_S),
                allow_redirects=False,
            ) as response:
                body = await read_body(response, _MAX_ANSWER_BYTES)
        except (aiohttp.ClientError, CellFailed, OSError, TimeoutError):
            raise CannotJoin("the admin's server does not answer at fed_rest_url") from None
        return _answer(body)


def _answer(body: bytes) -> bytes:
    try:
        told = msgspec.json.decode(body, type=_Envelope)
        for kind in (TokenInvalid, TokenExpired, TokenUsed):
            if told.statusString == str(kind()):
                raise kind()
        return base64.b64decode(told.values[JOIN_ACK], validate=True)
    except (msgspec.MsgspecError, KeyError, ValueError):
        # Never with the other server's words.
        raise CannotJoin("the admin's server did not let this node in") from None
