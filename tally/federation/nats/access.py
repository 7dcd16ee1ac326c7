"""Where a federation's NATS is and who we are there, from the keys of the create and join calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import nkeys  # type: ignore[import-untyped]

from tally.errors import InvalidInput
from tally.fitqueue.nats_connection import NatsOptions
from tally.networks import Networks

DEFAULT_REQUEST_TIMEOUT_S = 30.0
DEFAULT_STREAM_BYTES = 1024 * 1024 * 1024
LEAST_STREAM_BYTES = 16 * 1024 * 1024

_MAX_HOSTS = 16
_MAX_REQUEST_TIMEOUT_S = 600.0
_STREAM_BYTES = (64 * 1024, 1024**4)


@dataclass(frozen=True, slots=True)
class NatsAccess:
    """How to reach the NATS of one federation.

    Attributes:
        options: servers and credentials.
        request_timeout_s: how long a question to a peer waits for its answer.
        stream_bytes: room for snapshots that are too large for a message; None: not asked for,
            so as much as the server has, up to `DEFAULT_STREAM_BYTES`.
    """

    options: NatsOptions = field(repr=False)
    request_timeout_s: float = DEFAULT_REQUEST_TIMEOUT_S
    stream_bytes: int | None = None

    @classmethod
    def parse(
        cls,
        keys: Mapping[str, str],
        *,
        ca_file: Path | None = None,
        networks: Networks | None = None,
    ) -> NatsAccess:
        """Return the access that these keys give; others are ignored, an empty one is absent.

        Args:
            keys: `nats_hosts`; one of `nats_sec_user` with `nats_sec_passwd`, `nats_sec_token`,
                `nats_sec_nkey_seed`, or none; `nats_req_timeout` (seconds);
                `nats_stream_max_memory` (bytes).
            ca_file: of the authority behind the servers' certificates; None: the system's.
            networks: where the servers may be; None: anywhere.

        Raises:
            InvalidInput: a key cannot be used; the message has no secret in it.

        Example:
            >>> keys = {"nats_hosts": "10.0.0.1, nats://10.0.0.2:4333", "nats_sec_token": "hush"}
            >>> NatsAccess.parse(keys).options.servers
            ('nats://10.0.0.1:4222', 'nats://10.0.0.2:4333')
        """
        servers = _servers(keys.get("nats_hosts", ""))
        names = ("nats_sec_user", "nats_sec_passwd", "nats_sec_token", "nats_sec_nkey_seed")
        user, password, token, seed = (keys.get(name) or None for name in names)
        if (user is None) != (password is None):
            raise InvalidInput(
                "nats_sec_user", "give nats_sec_user and nats_sec_passwd, or neither"
            )
        if sum(secret is not None for secret in (user, token, seed)) > 1:
            reason = "give one of user and password, nats_sec_token, nats_sec_nkey_seed"
            raise InvalidInput("nats_sec_user", reason)
        if seed is not None:
            seed = seed.strip()
            _check_seed(seed)
        if ca_file is not None and not servers[0].startswith("tls://"):
            ca_file = None
        options = NatsOptions(
            servers,
            ca_file=ca_file,
            user=user,
            password=password,
            token=token,
            nkey_seed=seed,
            networks=networks,
        )
        return cls(
            options,
            _timeout(keys.get("nats_req_timeout") or None),
            _stream_bytes(keys.get("nats_stream_max_memory") or None),
        )


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


def _timeout(text: str | None) -> float:
    if text is None:
        return DEFAULT_REQUEST_TIMEOUT_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MAX_REQUEST_TIMEOUT_S:
        reason = f"[{text[:40]}] is not a number of seconds up to {_MAX_REQUEST_TIMEOUT_S:g}"
        raise InvalidInput("nats_req_timeout", reason)
    return seconds


def _stream_bytes(text: str | None) -> int | None:
    if text is None:
        return None
    least, most = _STREAM_BYTES
    if not (text.isascii() and text.isdigit()) or not least <= int(text[:20]) <= most:
        reason = f"[{text[:40]}] is not a number of bytes from {least} to {most}"
        raise InvalidInput("nats_stream_max_memory", reason)
    return int(text)
