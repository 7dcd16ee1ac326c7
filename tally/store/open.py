"""A URL picks the store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tally.errors import ConfigurationError
from tally.store.base import Store
from tally.store.sqlite import SqliteStore


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
    """
    store = await _rows(
        url,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
        user=user,
        password=password,
        replication=replication,
    )
    if not blob_url:
        return store
    # Here, because it imports a package that the embedded store does not need.
    from tally.store.s3 import S3Blobs

    return S3Blobs.over(store, blob_url, blob_threshold_bytes)


async def _rows(
    url: str,
    *,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    user: str | None,
    password: str | None,
    replication: int,
) -> Store:
    parts = urlsplit(url)
    if parts.scheme not in ("sqlite", "cql"):
        raise ConfigurationError(f"store URL: {parts.scheme or 'nothing'!r} is not sqlite or cql")
    if "@" in parts.netloc:
        raise ConfigurationError("store URL: user and password are settings of their own")
    if parts.scheme == "sqlite":
        if parts.netloc or not parts.path.strip("/"):
            raise ConfigurationError(f"store URL {url!r} names no file: sqlite:///FILE")
        return SqliteStore(Path(parts.path[1:]))
    from tally.store.cql import CqlStore
    from tally.store.cql_session import CqlOptions

    return await CqlStore.connect(
        CqlOptions(
            hosts=tuple(parts.netloc.split(",")),
            keyspace=parts.path.strip("/") or "tally",
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            user=user,
            password=password,
            replication=replication,
        )
    )
