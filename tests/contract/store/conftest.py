"""The contract of `tally.store.base`, over every backend."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import pytest
from cassandra.cluster import Cluster

from tally.store.base import Blob, Store
from tally.store.open import open_store

if TYPE_CHECKING:
    from tests.conftest import Server

KEYSPACE = "contract"
BUCKET = "contract"
THRESHOLD_BYTES = 512 * 1024


class Damage(Protocol):
    """Does to stored bytes what a broken disk does."""

    def lose_a_part(self, blob: Blob) -> None: ...

    def flip_a_byte(self, blob: Blob) -> None: ...


@dataclass(frozen=True)
class Backend:
    """One store, that any process can open."""

    url: str
    damage: Damage
    blob_url: str = ""

    async def open(self) -> Store:
        return await open_store(
            self.url, blob_url=self.blob_url, blob_threshold_bytes=THRESHOLD_BYTES
        )


class SqliteDamage:
    def __init__(self, path: Path) -> None:
        self._path = path

    def lose_a_part(self, blob: Blob) -> None:
        self._run("DELETE FROM chunks WHERE blob = ? AND part = 1", blob.id)

    def flip_a_byte(self, blob: Blob) -> None:
        with closing(sqlite3.connect(self._path)) as connection:
            query = "SELECT data FROM chunks WHERE blob = ? AND part = 0"
            (data,) = connection.execute(query, (blob.id,)).fetchone()
        self._run("UPDATE chunks SET data = ? WHERE blob = ? AND part = 0", flipped(data), blob.id)

    def _run(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            assert connection.execute(statement, values).rowcount == 1


class CqlDamage:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._chunks = f"{KEYSPACE}.chunks"

    def lose_a_part(self, blob: Blob) -> None:
        self._session.execute(f"DELETE FROM {self._chunks} WHERE blob = %s AND part = 1", [blob.id])

    def flip_a_byte(self, blob: Blob) -> None:
        query = f"SELECT data FROM {self._chunks} WHERE blob = %s AND part = 0"
        (row,) = self._session.execute(query, [blob.id])
        update = f"UPDATE {self._chunks} SET data = %s WHERE blob = %s AND part = 0"
        self._session.execute(update, [flipped(row.data), blob.id])


class S3Damage:
    def __init__(self, s3: Any, prefix: str) -> None:
        self._s3 = s3
        self._prefix = prefix

    def lose_a_part(self, blob: Blob) -> None:
        self._s3.delete_object(Bucket=BUCKET, Key=self._prefix + blob.id)

    def flip_a_byte(self, blob: Blob) -> None:
        where = {"Bucket": BUCKET, "Key": self._prefix + blob.id}
        with self._s3.get_object(**where)["Body"] as body:
            data = body.read()
        self._s3.put_object(**where, Body=flipped(data))


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.fixture(scope="session")
def cql_session(cql_server: Server) -> Iterator[Any]:
    host, _, port = cql_server.hosts[0].rpartition(":")
    cluster = Cluster([(host, int(port))])
    yield cluster.connect()
    cluster.shutdown()


@pytest.fixture(scope="session")
def s3(moto_server: Server) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in moto_server.env.items():
            patch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=moto_server.url)
        client.create_bucket(Bucket=BUCKET)
        yield client
        client.close()


@pytest.fixture(params=["sqlite", "cql", "s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    path = tmp_path / "store.db"
    if request.param == "sqlite":
        return Backend(f"sqlite:///{path}", SqliteDamage(path))
    if request.param == "cql":
        session = request.getfixturevalue("cql_session")
        url = request.getfixturevalue("cql_server").url
        return Backend(f"{url}/{KEYSPACE}", CqlDamage(session))
    s3 = request.getfixturevalue("s3")
    endpoint = request.getfixturevalue("moto_server").url
    prefix = uuid.uuid4().hex
    return Backend(
        f"sqlite:///{path}",
        S3Damage(s3, f"{prefix}/"),
        f"s3://{BUCKET}/{prefix}?endpoint={endpoint}",
    )


OpenClient = Callable[[], Awaitable[Store]]


@pytest.fixture
async def open_client(backend: Backend) -> AsyncIterator[OpenClient]:
    """Give a function that opens one more client, as another process would."""
    opened: list[Store] = []

    async def open_one() -> Store:
        opened.append(await backend.open())
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_client: OpenClient) -> Store:
    return await open_client()


@pytest.fixture
def partition() -> str:
    """A partition of this test's own, in a store that tests share."""
    return uuid.uuid4().hex
