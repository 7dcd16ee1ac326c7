"""Bytes in a bucket of S3, or of anything that speaks its protocol.

Credentials are found as boto3 finds them (environment, profile, instance role), never in a URL.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from tally.errors import ConfigurationError, CorruptState, NotFound, StoreUnavailable
from tally.ids import BlobId
from tally.store.base import Blob
from tally.store.chunks import verified

T = TypeVar("T")

_THREADS = 8
_CONNECT_S = 5
_READ_S = 30
_ATTEMPTS = 3
_OPTIONS = frozenset({"endpoint", "region"})


@dataclass(frozen=True, slots=True)
class S3Options:
    """Where the bucket is.

    Attributes:
        prefix: before every object's key; empty, or it ends with a slash.
        endpoint: URL of the service; None: AWS itself.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None

    @classmethod
    def of(cls, url: str) -> S3Options:
        """Read `s3://bucket/prefix?endpoint=URL&region=NAME`.

        Raises:
            ConfigurationError: it is not such a URL; no secret is in the message.

        Example:
            >>> S3Options.of("s3://models/tally?region=eu-west-1").prefix
            'tally/'
        """
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
        endpoint = query.get("endpoint", [None])[0]
        if "@" in parts.netloc or "@" in (urlsplit(endpoint).netloc if endpoint else ""):
            raise ConfigurationError("blob URL: credentials are not part of it; set AWS_...")
        if parts.scheme != "s3" or not parts.netloc:
            raise ConfigurationError("blob URL: it must be s3://bucket/prefix?endpoint=...")
        if unknown := sorted(query.keys() - _OPTIONS):
            raise ConfigurationError(f"blob URL: {unknown[0]!r} is none of endpoint, region")
        if endpoint is not None and urlsplit(endpoint).scheme not in ("http", "https"):
            raise ConfigurationError(f"blob URL: endpoint {endpoint!r} is not http:// or https://")
        prefix = parts.path.strip("/")
        return cls(
            bucket=parts.netloc,
            prefix=f"{prefix}/" if prefix else "",
            endpoint=endpoint,
            region=query.get("region", [None])[0],
        )


class S3Blobs:
    """Blobs as objects, one each, named by their ids."""

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._closed = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3")
        self._s3: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=options.endpoint,
            region_name=options.region,
            config=Config(
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                max_pool_connections=_THREADS,
                retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
                s3={"addressing_style": "path"},
            ),
        )

    @classmethod
    async def connect(cls, options: S3Options) -> S3Blobs:
        """Return the bucket, found and open to us.

        Raises:
            ConfigurationError: there is no such bucket, or we may not use it.
            StoreUnavailable: the service does not answer.
        """
        try:
            blobs = await asyncio.to_thread(cls, options)
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError(f"blob URL: {error}") from error
        try:
            await blobs.ping()
        except BaseException as error:
            await blobs.close()
            cause = error.__cause__
            if isinstance(cause, NoCredentialsError) or (
                isinstance(cause, ClientError) and 400 <= _status(cause) < 500
            ):
                raise ConfigurationError(
                    f"the bucket {options.bucket!r} cannot be used: {cause}; it must exist, and "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, must allow it"
                ) from cause
            raise
        return blobs

    async def put(self, blob: Blob, data: bytes) -> None:
        """Write an object unless it is there already."""
        await self._call(lambda: self._put(blob, data))

    async def get(self, blob: Blob) -> bytes:
        """Return the bytes.

        Raises:
            NotFound: there is no such object.
            CorruptState: size or digest differ.
        """
        return await self._call(lambda: self._get(blob))

    async def delete(self, blob: BlobId) -> None:
        """Delete an object; one that is not there is not an error."""
        await self._call(
            lambda: self._s3.delete_object(Bucket=self._options.bucket, Key=self._key(blob))
        )

    async def page(self, after: str, limit: int = 1000) -> Sequence[BlobId]:
        """Return the next ids, in order, after one; none: those were all."""
        start = self._options.prefix
        return await self._call(
            lambda: [
                BlobId(found["Key"].removeprefix(start))
                for found in self._s3.list_objects_v2(
                    Bucket=self._options.bucket,
                    Prefix=start,
                    StartAfter=start + after,
                    MaxKeys=limit,
                ).get("Contents", ())
            ]
        )

    async def ping(self) -> None:
        """Return when the bucket answers."""
        await self._call(lambda: self._s3.head_bucket(Bucket=self._options.bucket))

    async def close(self) -> None:
        """Release connections and threads."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._threads.shutdown)
            self._s3.close()

    def _key(self, blob: BlobId) -> str:
        return self._options.prefix + blob

    def _put(self, blob: Blob, data: bytes) -> None:
        digest = base64.b64encode(binascii.unhexlify(blob.sha256)).decode()
        try:
            self._s3.put_object(
                Bucket=self._options.bucket,
                Key=self._key(blob.id),
                Body=data,
                ChecksumSHA256=digest,  # the service refuses bytes that changed on the way
                IfNoneMatch="*",
            )
        except ClientError as error:
            # 412: an earlier attempt got through after all. Ids are never used for other bytes.
            if _status(error) != 412:
                raise

    def _get(self, blob: Blob) -> bytes:
        try:
            found = self._s3.get_object(Bucket=self._options.bucket, Key=self._key(blob.id))
        except ClientError as error:
            if _status(error) == 404:
                raise NotFound(f"blob {blob.id} is missing in {self._options.bucket}") from error
            raise
        with found["Body"] as body:
            if found["ContentLength"] != blob.size_bytes:
                raise CorruptState(
                    f"blob {blob.id} has {found['ContentLength']} bytes, not {blob.size_bytes}"
                )
            return verified(blob, body.read())

    async def _call(self, run: Callable[[], T]) -> T:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, run)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(f"bucket {self._options.bucket}: {error}") from error


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
