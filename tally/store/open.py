"""A URL picks the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from tally.errors import ConfigurationError
from tally.store.base import Store
from tally.store.offload import BlobOffload
from tally.store.sqlite import SqliteStore

_DEFAULT_KEYSPACE = "tally"


async def open_store(
    url: str,
    *,
    blob_url: str = "",
    blob_threshold_bytes: int = 8 * 2**20,
    ca_file: Path | None = None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
    user: str | None = None,
    password: str | None = None,
    replication: int = 1,
) -> Store:
    """Return the store that a URL names, connected and able to keep its promises.

    Args:
        url: `sqlite:///store.db` is a file beside the process, with four slashes one by its
            whole path; `cql://host:port,host:port/keyspace` is ScyllaDB or Cassandra.
        blob_url: `s3://bucket/prefix?endpoint=URL&region=NAME`; empty: blobs stay in the store.
        blob_threshold_bytes: blobs of this size and more go there.
        ca_file: PEM file of the authority behind the server's certificate; turns TLS on.
        cert_file, key_file: PEM files of our certificate, where the server asks for one.
        user, password: where the server has authentication enabled. Never a part of the URL.
        replication: copies of each row, when the keyspace does not exist yet.

    Raises:
        ConfigurationError: the URL or an option cannot be used, or the server cannot keep what
            `Store` promises; no secret is in the message.
        StoreUnavailable: the server does not answer.

    Example:
        >>> asyncio.run(open_store("mongodb://localhost"))
        Traceback (most recent call last):
        tally.errors.ConfigurationError: store URL: 'mongodb' is not sqlite or cql
    """
    parts = _parsed(url)
    if (cert_file is None) != (key_file is None):
        raise ConfigurationError("store: the certificate and the key file need each other")
    if cert_file is not None and ca_file is None:
        raise ConfigurationError("store: a certificate needs the authority's file (ca_file) too")
    if (user is None) != (password is None):
        raise ConfigurationError("store: the user and the password need each other")
    if parts.scheme == "cql":
        store = await _cql(parts, ca_file, cert_file, key_file, user, password, replication)
    elif ca_file is not None or user is not None:
        raise ConfigurationError("store: TLS and login are for cql:// only")
    else:
        store = await asyncio.to_thread(SqliteStore, Path(parts.path[1:]))
    if not blob_url:
        return store
    try:
        return await _with_s3(store, blob_url, blob_threshold_bytes)
    except BaseException:
        await store.close()
        raise


def _parsed(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("sqlite", "cql"):
        raise ConfigurationError(f"store URL: {parts.scheme or 'nothing'!r} is not sqlite or cql")
    if "@" in parts.netloc:
        raise ConfigurationError("store URL: user and password are settings of their own")
    if parts.query or parts.fragment:
        raise ConfigurationError("store URL: options are not part of it")
    if parts.scheme == "sqlite" and (parts.netloc or not parts.path.strip("/")):
        raise ConfigurationError(f"store URL {url!r} names no file: sqlite:///FILE")
    if parts.scheme == "cql" and not parts.netloc:
        raise ConfigurationError(f"store URL {url!r} names no host: cql://host:9042/keyspace")
    return parts


async def _cql(
    parts: SplitResult,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    user: str | None,
    password: str | None,
    replication: int,
) -> Store:
    # Here, because it imports a package that the embedded store does not need.
    try:
        from tally.store.cql import CqlStore
        from tally.store.cql_cluster import CqlOptions
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"cql:// needs {error.name!r}: pip install 'tally[cql]'"
        ) from error

    return await CqlStore.connect(
        CqlOptions(
            hosts=tuple(parts.netloc.split(",")),
            keyspace=parts.path.strip("/") or _DEFAULT_KEYSPACE,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            user=user,
            password=password,
            replication=replication,
        )
    )


async def _with_s3(store: Store, url: str, threshold_bytes: int) -> Store:
    try:
        from tally.store.s3 import S3Blobs, S3Options
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"s3:// needs {error.name!r}: pip install 'tally[s3]'") from error

    return BlobOffload(store, await S3Blobs.connect(S3Options.of(url)), threshold_bytes)
