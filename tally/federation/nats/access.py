"""Where a federation's NATS is and who we are there, from the terms of the federation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import nkeys  # type: ignore[import-untyped]

from tally.errors import InvalidInput
from tally.federation.terms import Nats
from tally.fitqueue.nats_connection import NatsOptions
from tally.networks import Networks

DEFAULT_STREAM_BYTES = 1024 * 1024 * 1024
LEAST_STREAM_BYTES = 16 * 1024 * 1024

_MAX_HOSTS = 16
_LEAST_ASKED_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class NatsAccess:
    """How to reach the NATS of one federation.

    Attributes:
        options: servers and credentials.
        stream_bytes: room for snapshots that are too large for a message; None: not asked for,
            so as much as the server has, up to `DEFAULT_STREAM_BYTES`.
    """

    options: NatsOptions = field(repr=False)
    stream_bytes: int | None = None

    @classmethod
    def of(
        cls, nats: Nats, *, ca_file: Path | None = None, networks: Networks | None = None
    ) -> NatsAccess:
        """Return the access that the terms of a federation give.

        Args:
            nats: of the terms.
            ca_file: of the authority behind the servers' certificates; None: the system's.
            networks: where the servers may be; None: anywhere.

        Raises:
            InvalidInput: a key cannot be used; the message has no secret in it.

        Example:
            >>> nats = Nats(hosts="10.0.0.1, nats://10.0.0.2:4333", token="hush")
            >>> NatsAccess.of(nats).options.servers
            ('nats://10.0.0.1:4222', 'nats://10.0.0.2:4333')
        """
        servers = _servers(nats.hosts)
        seed = nats.nkey_seed.strip()
        if seed:
            _check_seed(seed)
        if nats.memory_bytes is not None and nats.memory_bytes < _LEAST_ASKED_BYTES:
            reason = f"[{nats.memory_bytes}] is less than {_LEAST_ASKED_BYTES} bytes"
            raise InvalidInput("nats_stream_max_memory", reason)
        options = NatsOptions(
            servers,
            ca_file=ca_file if servers[0].startswith("tls://") else None,
            user=nats.user or None,
            password=nats.password or None,
            token=nats.token or None,
            nkey_seed=seed or None,
            networks=networks,
        )
        return cls(options, nats.memory_bytes)


def _servers(hosts: str) -> tuple[str, ...]:
    urls = tuple(_server(host.strip()) for host in hosts.split(",") if host.strip())
    if not urls:
        raise InvalidInput("nats_hosts", "it names no server")
    if len(urls) > _MAX_HOSTS:
        raise InvalidInput("nats_hosts", f"it names {len(urls)} servers; {_MAX_HOSTS} are allowed")
    if len({url.partition(":")[0] for url in urls}) > 1:
        raise InvalidInput("nats_hosts", "all are nats:// or all are tls://")
    return urls


def _server(host: str) -> str:
    url = host if "://" in host else f"nats://{host}"
    if "@" in url:
        # Not the URL itself: it may hold a password.
        raise InvalidInput("nats_hosts", "credentials belong in the keys nats_sec_...")
    try:
        parts = urlsplit(url)
        port = parts.port or 4222
    except ValueError as error:
        raise InvalidInput("nats_hosts", f"[{host}] is no server: {error}") from error
    extra = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ("nats", "tls") or not parts.hostname or extra:
        raise InvalidInput("nats_hosts", f"[{host}] is not nats://HOST:PORT or tls://HOST:PORT")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}:{port}"


def _check_seed(seed: str) -> None:
    try:
        nkeys.from_seed(bytearray(seed.encode())).wipe()
    except (nkeys.NkeysError, ValueError):
        # From nothing: the error may hold a part of the seed.
        raise InvalidInput("nats_sec_nkey_seed", "it is not the seed of an nkey") from None
