"""A URL picks the fit queue."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from tally.errors import ConfigurationError
from tally.fitqueue.base import FitQueue
from tally.fitqueue.embedded import EmbeddedQueue

_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def open_queue(
    url: str,
    *,
    redeliver_after_s: float = 30.0,
    ca_file: Path | None = None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    nkey_file: Path | None = None,
    credentials_file: Path | None = None,
) -> FitQueue:
    """Return the fit queue that a URL names. A server is connected at the first use.

    Args:
        url: `sqlite:///queue.db` is a file beside the process, with four slashes one by its
            whole path; `nats://host:port,host:port/name` is NATS JetStream, `tls://` it over TLS.
            The name, `tally` by default, keeps installations on one server apart.
        redeliver_after_s: how long a ticket may be neither renewed nor done.
        ca_file: PEM file of the authority behind the server's certificate.
        cert_file, key_file: PEM files of our certificate, where the server asks for one.
        user, password: or
        token: or
        nkey_file: with the seed of an nkey, or
        credentials_file: as `nsc` writes it; where the server has authentication enabled.

    Raises:
        ConfigurationError: the URL or an option cannot be used; no secret is in the message.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError("queue URL: its address cannot be read") from error
    if "@" in parts.netloc:
        raise ConfigurationError("queue URL: user and password are settings of their own")
    if parts.scheme == "sqlite":
        if parts.netloc or not parts.path.strip("/"):
            raise ConfigurationError(f"queue URL {url!r} names no file: sqlite:///FILE")
        return EmbeddedQueue(Path(parts.path[1:]), redeliver_after_s=redeliver_after_s)
    if parts.scheme not in ("nats", "tls"):
        raise ConfigurationError(
            f"queue URL: {parts.scheme or 'nothing'!r} is not sqlite, nats or tls"
        )
    # Here, because it imports a package that the embedded queue does not need.
    try:
        from tally.fitqueue.jetstream import JetStreamQueue
        from tally.fitqueue.nats_connection import NatsOptions
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{parts.scheme}:// needs {error.name!r}: pip install 'tally[nats]'"
        ) from error

    options = NatsOptions(
        servers=tuple(f"{parts.scheme}://{_host(host)}" for host in parts.netloc.split(",")),
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
        user=user,
        password=password,
        token=token,
        nkey_file=nkey_file,
        credentials_file=credentials_file,
    )
    name = parts.path.strip("/") or "tally"
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"queue URL: the name {name!r} is not 1 to 64 letters, digits, '-' and '_'"
        )
    return JetStreamQueue(options, name=name, redeliver_after_s=redeliver_after_s)


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ConfigurationError(f"queue URL: {text!r} is not host:port")
    return text
