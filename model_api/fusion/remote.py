"""Cells on other servers: signed requests, bounded in time and size, trusting nothing that comes.

What such a server says is data from a stranger: it is sized while it is read, opened with the
cell's key, which also proves that the key's holder made it, and none of its words is shown.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import msgspec
from yarl import URL

from model_api.fusion.fetching import CellFailed, Fetched, Question, failure
from model_api.fusion.limits import FusionLimits
from model_api.fusion.room import Room
from model_api.projects.sharing import Threads
from tally.addresses import is_loopback
from tally.clock import Clock
from tally.errors import InvalidInput
from tally.fusion.cells import CellState
from tally.networks import REFUSED, AddressRefused
from tally.wire.cell_blob import open_sealed
from tally.wire.signing import signed_headers

_REST = "/symetry/rest"
_SHORT_BYTES = 64 * 1024  # of a refusal
_HEAD_BYTES = 16 * 1024
_ANSWERS = 4  # of the greatest size, that may be in memory at once
_OPENED = 2  # at once: a small answer may become very large


class _Values(msgspec.Struct):
    notModified: str = ""  # noqa: N815 - as it is on the wire
    blob: str = ""


class _Envelope(msgspec.Struct):
    statusString: str = ""  # noqa: N815 - as it is on the wire
    values: _Values = msgspec.field(default_factory=_Values)


class Remote:
    """Asks cells on other servers.

    Args:
        session: HTTP client, from `remote_session`.
        clock: whose wall time is signed.
        limits: of time and size.
    """

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, limits: FusionLimits) -> None:
        self._session = session
        self._clock = clock
        self._limits = limits
        self._room = Room(_ANSWERS * limits.answer_bytes)
        self._threads = Threads(_OPENED)

    async def __call__(self, question: Question) -> Fetched:
        """Return what a cell gives.

        Raises:
            CellFailed: nothing.
        """
        with self._room.share() as share, share.part() as take:
            status, body = await self._answer(question, take)
            fetched = await self._threads.run(_opened, status, body, question)
        question.take(0 if fetched.data is None else len(fetched.data))
        return fetched

    async def _answer(self, question: Question, take: Callable[[int], None]) -> tuple[int, bytes]:
        cell = question.cell
        origin = checked_origin(cell.host, trust_all=self._limits.trust_all)
        path = f"{_REST}/{quote(cell.cid, safe='')}/projects/{quote(cell.pid, safe='')}"
        path = f"{path}/cellStatistics"
        query = urlencode({"scope": cell.scope, "since": question.since})
        headers = signed_headers(
            question.key, cell.cid, "GET", path, self._clock.now(), query=query
        )
        try:
            async with self._session.get(
                URL(f"{origin}{path}?{query}", encoded=True),
                headers={**headers, **question.headers},
                timeout=aiohttp.ClientTimeout(
                    total=question.left_s, connect=self._limits.connect_s
                ),
                allow_redirects=False,
            ) as response:
                status = response.status
                limit = self._limits.answer_bytes if status == 200 else _SHORT_BYTES
                return status, await read_body(response, limit, take)
        except aiohttp.ClientSSLError as error:
            raise CellFailed(CellState.UNREACHABLE, _tls(error)) from None
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise CellFailed(CellState.UNREACHABLE, _connection(error)) from None
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            raise CellFailed(CellState.UNREACHABLE, "the connection was lost") from None
        except aiohttp.ClientError:
            raise CellFailed(CellState.ERROR, "what it answers is not HTTP") from None
        except TimeoutError:
            raise CellFailed(
                CellState.TIMEOUT, f"no answer within {round(1000 * question.left_s)} ms"
            ) from None


async def read_body(
    response: aiohttp.ClientResponse, limit: int, take: Callable[[int], None] = lambda size: None
) -> bytes:
    """Return the body of an answer, sized while it comes.

    Raises:
        CellFailed: it has more bytes than the limit.
    """
    parts, size_bytes = [], 0
    async for part in response.content.iter_any():
        size_bytes += len(part)
        if size_bytes > limit:
            raise CellFailed(CellState.ERROR, f"it answers with more than {limit} bytes")
        take(len(part))
        parts.append(part)
    return b"".join(parts)


def _opened(status: int, body: bytes, question: Question) -> Fetched:
    try:
        told = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        if status != 200:
            raise failure(status, "") from None
        raise CellFailed(CellState.ERROR, "what it answers cannot be read") from None
    if status != 200:
        raise failure(status, told.statusString)
    values = told.values
    if values.notModified.lower() == "true" and question.since:
        return Fetched(None)
    try:
        return Fetched(open_sealed(question.key, values.blob))
    except InvalidInput:
        raise CellFailed(
            CellState.ERROR, "its statistics were not sealed with the cell's key, or are damaged"
        ) from None


def _tls(error: aiohttp.ClientSSLError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    return "TLS failed"


def _connection(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error.__cause__, AddressRefused):
        return REFUSED
    return "no connection"


def checked_origin(host: str, *, trust_all: bool = False) -> str:
    """Return scheme and authority of a cell's server.

    Plain HTTP is for servers on this machine, where there is nobody to listen.

    Args:
        host: as it was given; without a scheme it is HTTPS.
        trust_all: plain HTTP may go anywhere.

    Raises:
        CellFailed: nobody is asked at such a host.

    Example:
        >>> checked_origin("b.example:8443/"), checked_origin("http://127.0.0.1:5000")
        ('https://b.example:8443', 'http://127.0.0.1:5000')
    """
    text = host.strip() if "://" in host else f"https://{host.strip()}"
    text = text.removesuffix("/")
    try:
        parts = urlsplit(text)
        name, _ = parts.hostname, parts.port
    except ValueError:
        name, parts = None, urlsplit("")
    odd = parts.path or parts.query or parts.fragment or parts.username or parts.password
    if not name or odd or parts.scheme not in ("http", "https"):
        raise CellFailed(CellState.UNREACHABLE, "its host is not scheme://name:port")
    if parts.scheme == "http" and not (trust_all or is_loopback(name)):
        raise CellFailed(CellState.UNREACHABLE, "plain HTTP is for servers on this machine only")
    return text


@asynccontextmanager
async def remote_session(limits: FusionLimits) -> AsyncIterator[aiohttp.ClientSession]:
    """Give the HTTP client for cells on other servers, and close it afterwards."""
    context: ssl.SSLContext | bool = False
    if not limits.trust_all:
        context = ssl.create_default_context()
    connector = aiohttp.TCPConnector(
        ssl=context, limit=0, limit_per_host=0, socket_factory=limits.networks.socket
    )
    async with aiohttp.ClientSession(
        connector=connector,
        max_line_size=_HEAD_BYTES,
        max_field_size=_HEAD_BYTES,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # nobody asked for anything compressed
        headers={"Accept-Encoding": "identity"},
    ) as session:
        yield session
