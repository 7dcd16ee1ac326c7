"""A URL picks the coordinator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from tally.coordination.base import Coordinator
from tally.coordination.embedded import EmbeddedCoordinator
from tally.errors import ConfigurationError

ETCD_PORT = 2379


def open_coordinator(
    url: str,
    *,
    prefix: str = "",
    ca_file: Path | None = None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
    user: str | None = None,
    password: str | None = None,
    timeout_s: float = 5.0,
) -> Coordinator:
    """Return the coordinator that a URL names. Nothing is connected or created before its use.

    Args:
        url: `sqlite:///coordination.db` is a file beside the process, with four slashes one by
            its whole path; `etcd://host:port,host:port` is etcd, `etcds://` etcd over TLS.
        prefix: put before every key, so that several systems may share one coordinator.
        ca_file: PEM file of the authority behind etcd's certificate; default: the system's.
        cert_file, key_file: PEM files of our certificate, where etcd asks for one.
        user, password: where etcd has authentication enabled. Never a part of the URL.
        timeout_s: the deadline of every call.

    Raises:
        ConfigurationError: the URL or an option cannot be used; no secret is in the message.

    Example:
        >>> open_coordinator("sqlite:///data/coordination.db")
        EmbeddedCoordinator('data/coordination.db', prefix='')
    """
    parts = urlsplit(url)
    if parts.scheme not in ("sqlite", "etcd", "etcds"):
        raise ConfigurationError(
            f"coordination URL: {parts.scheme or 'nothing'!r} is none of sqlite, etcd, etcds"
        )
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"coordination URL ({parts.scheme}): user and password are settings of their own"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(f"coordination URL ({parts.scheme}): options are not part of it")
    if not timeout_s > 0:
        raise ConfigurationError(f"coordination time-out: {timeout_s} s is not above 0")
    tls_options = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}
    login_options = {"user": user, "password": password}
    if parts.scheme != "etcds":
        _refuse(parts, tls_options, "etcds")
    if parts.scheme == "sqlite":
        _refuse(parts, login_options, "etcd and etcds")
        return EmbeddedCoordinator(_path(parts), prefix=prefix, timeout_s=timeout_s)
    if (cert_file is None) != (key_file is None):
        raise ConfigurationError("coordination: the certificate and the key file need each other")
    if (user is None) != (password is None):
        raise ConfigurationError("coordination: the user and the password need each other")
    # Here, because it imports packages that the embedded coordinator does not need.
    try:
        from tally.coordination.etcd import EtcdCoordinator
        from tally.coordination.etcd_connection import EtcdOptions
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{parts.scheme}:// needs {error.name!r}: pip install 'tally[etcd]'"
        ) from error

    options = EtcdOptions(
        endpoints=_endpoints(parts),
        tls=parts.scheme == "etcds",
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
        user=user,
        password=password,
        timeout_s=timeout_s,
    )
    return EtcdCoordinator(options, prefix=prefix)


def _refuse(parts: SplitResult, options: Mapping[str, object], schemes: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise ConfigurationError(
                f"coordination {name} is an option of {schemes}, but the URL is {parts.scheme}"
            )


def _path(parts: SplitResult) -> Path:
    if parts.netloc or not parts.path.strip("/"):
        raise ConfigurationError(
            f"coordination URL {parts.geturl()!r} names no file: sqlite:///FILE, or"
            " sqlite:////FOLDER/FILE by its whole path"
        )
    return Path(parts.path[1:])


def _endpoints(parts: SplitResult) -> tuple[str, ...]:
    if parts.path.strip("/"):
        raise ConfigurationError(
            f"coordination URL {parts.geturl()!r}: the prefix is a setting of its own"
        )
    endpoints = []
    for endpoint in parts.netloc.split(","):
        # Each by itself, as the whole is no authority that `urlsplit` could read.
        one = urlsplit(f"//{endpoint}")
        try:
            host, port = one.hostname, one.port or ETCD_PORT
        except ValueError as error:
            raise ConfigurationError(f"coordination URL: {endpoint!r}: {error}") from None
        if not host:
            raise ConfigurationError(f"coordination URL: {parts.geturl()!r} lacks a host")
        endpoints.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return tuple(endpoints)
