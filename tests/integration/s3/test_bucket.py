"""Large blobs in a bucket, the rest where it was."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tally.errors import ConfigurationError, NotFound, StoreUnavailable
from tally.ids import new_blob_id
from tally.store.base import Blob, Store
from tally.store.open import open_store
from tally.store.s3 import S3Blobs, S3Options

if TYPE_CHECKING:
    from tests.conftest import Server

BUCKET = "integration"
SMALL, LARGE = 999, 1000


@pytest.fixture
def s3(moto_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in moto_server.env.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=moto_server.url)
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


@pytest.fixture
def blob_url(s3: Any, moto_server: Server) -> str:
    return f"s3://{BUCKET}/{uuid.uuid4().hex}?endpoint={moto_server.url}"


async def opened(folder: Path, blob_url: str, threshold_bytes: int = LARGE) -> Store:
    url = f"sqlite:///{folder}/store.db"
    return await open_store(url, blob_url=blob_url, blob_threshold_bytes=threshold_bytes)


async def put(store: Store, size: int) -> Blob:
    return await store.put_blob(new_blob_id(), os.urandom(size))


async def test_a_blob_goes_to_the_bucket_from_the_threshold_on(
    tmp_path: Path, blob_url: str
) -> None:
    store = await opened(tmp_path, blob_url)
    small, large = await put(store, SMALL), await put(store, LARGE)
    plain = await opened(tmp_path, "")
    assert [blob async for blob in plain.blobs()] == [small.id]
    bucket = await S3Blobs.connect(S3Options.of(blob_url))
    assert list(await bucket.page("")) == [large.id]
    for each in (store, plain, bucket):
        await each.close()


async def test_blobs_are_found_after_the_threshold_was_changed(
    tmp_path: Path, blob_url: str
) -> None:
    store = await opened(tmp_path, blob_url)
    blobs = [await put(store, SMALL), await put(store, LARGE)]
    await store.close()
    for threshold in (0, 10**6):
        store = await opened(tmp_path, blob_url, threshold)
        for blob in blobs:
            assert len(await store.get_blob(blob)) == blob.size_bytes
        await store.close()
    store = await opened(tmp_path, blob_url, 0)
    for blob in blobs:
        await store.delete_blob(blob.id)
        with pytest.raises(NotFound):
            await store.get_blob(blob)
    await store.close()


async def test_a_long_listing_pages_to_the_end(s3: Any, blob_url: str) -> None:
    bucket = await S3Blobs.connect(S3Options.of(blob_url))
    prefix = S3Options.of(blob_url).prefix
    wanted = [f"{i:032x}" for i in range(7)]
    for key in wanted:
        s3.put_object(Bucket=BUCKET, Key=f"{prefix}{key}", Body=b"")
    found: list[str] = []
    while page := await bucket.page(found[-1] if found else "", limit=3):
        found += page
    assert found == wanted
    await bucket.close()


async def test_a_bucket_that_does_not_exist_is_refused_at_the_start(
    tmp_path: Path, s3: Any, moto_server: Server
) -> None:
    with pytest.raises(ConfigurationError, match="bucket 'nowhere' cannot be used"):
        await opened(tmp_path, f"s3://nowhere?endpoint={moto_server.url}")


async def test_credentials_that_are_missing_are_named(
    tmp_path: Path, blob_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        await opened(tmp_path, blob_url)


async def test_a_service_that_does_not_answer_is_unavailable(
    tmp_path: Path, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse")
    with pytest.raises(StoreUnavailable, match=f"bucket {BUCKET}") as caught:
        await opened(tmp_path, f"s3://{BUCKET}?endpoint=http://127.0.0.1:1")
    assert "correct-horse" not in str(caught.value)


async def test_a_bucket_that_goes_away_leaves_rows_and_small_blobs(
    tmp_path: Path, s3: Any, moto_server: Server
) -> None:
    s3.create_bucket(Bucket="doomed")
    store = await opened(tmp_path, f"s3://doomed?endpoint={moto_server.url}")
    small = await put(store, SMALL)
    s3.delete_bucket(Bucket="doomed")
    with pytest.raises(StoreUnavailable, match="bucket does not exist"):
        await put(store, LARGE)
    with pytest.raises(StoreUnavailable):
        await store.ping()
    assert len(await store.get_blob(small)) == SMALL
    assert await store.get("p", "k") is None
    await store.close()
