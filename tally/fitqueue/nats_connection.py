"""One connection to a NATS server: who we are, how it is secured, and what refused it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import nats.errors
import nkeys  # type: ignore[import-untyped]
import structlog
from nats.aio.client import Client

from tally.errors import ConfigurationError, QueueUnavailable
from tally.fitqueue.nats_client import CarefulClient
from tally.networks import AddressRefused, Networks

_log = structlog.get_logger()

_CONNECT_S = 2.0
_PING_INTERVAL_S = 5
_FAILURES = (nats.errors.Error, nkeys.NkeysError, OSError, ValueError)
_REFUSED = "it refuses our credentials"

INBOX = "_INBOX"
"""What subjects of answers begin with everywhere in NATS."""

OnDenied = Callable[[str, str], None]
"""Is called with `publish` or `subscription`, and the subject that we have no right to."""


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """Where NATS is and how we show who we are; at most one kind of credential.

    Attributes:
        servers: URLs of one cluster, all `nats://` or all `tls://`.
        ca_file: PEM file of the authority behind the servers' certificates; None: the system's.
        cert_file, key_file: PEM files of our certificate.
        user, password: or
        token: or
        nkey_file: holding the seed of an nkey, or
        credentials_file: holding a JWT and a seed, as `nsc` writes it, or
        nkey_seed: the seed itself.
        networks: where the servers may be, if somebody else named them; None: they are our own.

    Raises:
        ConfigurationError: they contradict each other, or a file cannot be used.
    """

    servers: Sequence[str]
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey_file: Path | None = None
    credentials_file: Path | None = None
    nkey_seed: str | None = field(default=None, repr=False)
    networks: Networks | None = None

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password is None):
            raise ConfigurationError("queue user and password: give both or neither")
        files = (self.nkey_file, self.credentials_file)
        kinds = (self.user, self.token, self.nkey_seed, *files)
        if sum(kind is not None for kind in kinds) > 1:
            raise ConfigurationError(
                "queue credentials: give one of user and password, token, nkey file, credentials"
                " file"
            )
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigurationError("queue certificate and key: give both or neither")
        if not self.secure and (self.ca_file or self.cert_file):
            raise ConfigurationError("queue URL: certificates need tls:// in place of nats://")
        self.tls()
        # The client reads these two again at each connect, so that they can be replaced.
        if self.nkey_file is not None:
            _check_seed(self.nkey_file, _read(self.nkey_file, "nkey file"))
        if self.credentials_file is not None:
            _check_credentials(self.credentials_file)

    @property
    def secure(self) -> bool:
        """Tell whether the connection must be TLS."""
        return self.servers[0].startswith("tls://")

    def tls(self) -> ssl.SSLContext | None:
        """Return how to check the server and show our certificate; None without TLS."""
        if not self.secure:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:
            raise ConfigurationError(
                f"queue certificates: {self.ca_file}, {self.cert_file} or {self.key_file} cannot"
                f" be used: {error}"
            ) from error
        return context


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"queue {what} {path}: {error.strerror}") from error


def _check_seed(path: Path, seed: bytes) -> None:
    try:
        nkeys.from_seed(bytearray(seed.strip())).wipe()
    except (nkeys.NkeysError, ValueError) as error:
        # Not the error itself: it may hold a part of the seed.
        raise ConfigurationError(f"queue credentials {path}: not the seed of an nkey") from error


def _check_credentials(path: Path) -> None:
    # The client looks for these lines for ever where they are missing.
    lines = _read(path, "credentials file").splitlines()
    found = {
        mark: after
        for line, after in itertools.pairwise(lines)
        for mark in (b"BEGIN NATS USER JWT", b"BEGIN USER NKEY SEED")
        if mark in line
    }
    if len(found) < 2:
        raise ConfigurationError(f"queue credentials {path}: it lacks a user's JWT or seed")
    _check_seed(path, found[b"BEGIN USER NKEY SEED"])


@dataclass(frozen=True, slots=True)
class _Place:
    """What to connect to.

    Attributes:
        url: of one server.
        name: that its certificate must have; None: as the URL has it.
    """

    url: str
    name: str | None


class NatsRefused(QueueUnavailable):
    """Every server answered, and none let us in: trying again is of no use."""


async def connect(
    options: NatsOptions, on_denied: OnDenied | None = None, inbox: str = INBOX
) -> Client:
    """Return a client that is connected to one of the servers.

    It does not reconnect by itself: it closes, and whoever needs it opens another. nats-py's
    own reconnecting keeps old commands and sends them late, and it stops for ever when the
    server refuses the credentials once.

    Args:
        options: where, and who we are.
        on_denied: is told of each right that we lack as it is needed. Whoever waits for an answer
            to what was not let through waits in vain.
        inbox: answers come to subjects that begin with it and a dot.

    Raises:
        NatsRefused: all of them refuse our credentials.
        QueueUnavailable: no server let us in; the message says why, without our secrets.
    """
    reasons: dict[str, str] = {}
    for server in random.sample(options.servers, len(options.servers)):
        problem: Exception = AddressRefused()
        until = asyncio.get_running_loop().time() + _CONNECT_S
        try:
            async with asyncio.timeout_at(until):
                places = await _places(server, options.networks)
        except (OSError, UnicodeError) as error:
            places, problem = [], error
        for place in places:
            try:
                return await _connected(place, options, until, on_denied, inbox)
            except _FAILURES as error:
                problem = error
        reasons[server] = _reason(problem, ours=options.networks is None)
    refused = all(reason == _REFUSED for reason in reasons.values())
    told = "; ".join(f"{server}: {reason}" for server, reason in sorted(reasons.items()))
    raise (NatsRefused if refused else QueueUnavailable)(f"NATS: {told}")


async def _places(server: str, networks: Networks | None) -> list[_Place]:
    """Return where a server is: at each allowed address of its name, or nowhere.

    The client is given addresses, not the name, so what it connects to is what was judged. Those
    of other servers, which a server may tell it, it does not use, since it does not reconnect.

    Raises:
        OSError, UnicodeError: its name is not known, or can be none.
    """
    if networks is None:
        return [_Place(server, None)]
    parts = urlsplit(server)
    found = await asyncio.get_running_loop().getaddrinfo(
        parts.hostname, parts.port, type=socket.SOCK_STREAM
    )
    addresses = [str(info[4][0]) for info in found]
    allowed = [address for address in dict.fromkeys(addresses) if networks.allow(address)]
    hosts = (f"[{address}]" if ":" in address else address for address in allowed)
    return [_Place(f"{parts.scheme}://{host}:{parts.port}", parts.hostname) for host in hosts]


async def _connected(
    place: _Place, options: NatsOptions, until: float, on_denied: OnDenied | None, inbox: str
) -> Client:
    """Return a client that is connected in time, or raise one of `_FAILURES`."""
    problems: list[Exception] = []

    async def note(error: Exception) -> None:
        problems[:] = [error]
        _log.debug("nats reports a problem", reason=str(error))
        if on_denied is not None and (denied := client.denied(error)):
            on_denied(*denied)

    client = CarefulClient()
    try:
        async with asyncio.timeout_at(until):
            await client.connect(
                [place.url],
                name="tally",
                inbox_prefix=inbox,
                error_cb=note,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=int(_CONNECT_S),
                ping_interval=_PING_INTERVAL_S,
                tls=options.tls(),
                tls_hostname=place.name,
                user=options.user,
                password=options.password,
                token=options.token,
                nkeys_seed=str(options.nkey_file) if options.nkey_file else None,
                nkeys_seed_str=options.nkey_seed,
                user_credentials=(
                    str(options.credentials_file) if options.credentials_file else None
                ),
            )
    except _FAILURES as error:
        # The client itself may say no more than that there is no server left.
        raise (problems[-1] if problems else error) from None
    finally:
        if not client.is_connected:
            await close(client)
    return client


async def close(client: Client) -> None:
    """Close a connection, in whatever state it is."""
    with contextlib.suppress(nats.errors.Error, OSError):
        async with asyncio.timeout(_CONNECT_S):
            await client.close()


def _reason(error: Exception, *, ours: bool) -> str:
    """Return what is told of a problem.

    Of servers that somebody else named, no more than whether NATS answers there: else whoever
    names them could look around our networks with our eyes.
    """
    if isinstance(error, AddressRefused):
        return str(error)
    if isinstance(error, socket.gaierror | UnicodeError):
        return "its name is not known"
    if isinstance(error, nats.errors.SecureConnWantedError):
        return "it does not offer TLS, which tls:// demands"
    if "authorization violation" in str(error).lower():
        return _REFUSED
    if not ours:
        return "no NATS server that would talk to us answers there"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        # The client lost it before it read what the server had to say.
        return "it ended the connection at once, as it does beyond its max_connections"
    if isinstance(error, TimeoutError):
        return f"no answer within {_CONNECT_S:g} s"
    return str(error) or type(error).__name__
