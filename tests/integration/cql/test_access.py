"""TLS, certificates, logins and rights."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from tally.errors import ConfigurationError, StoreUnavailable
from tally.store.base import Write
from tally.store.cql_cluster import CqlOptions
from tally.store.cql_session import CqlSession
from tally.store.open import open_store

if TYPE_CHECKING:
    from tests.conftest import Server, StartServer

SECRET = "correct-horse"


async def test_a_server_with_tls_and_a_login_is_used_with_both_only(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = await asyncio.to_thread(start_server, "cql", tls=True, mtls=True, auth=True)
    url = f"{server.url}/secured"
    certificate = {"cert_file": server.cert_file, "key_file": server.key_file}
    tls: dict[str, Any] = {"ca_file": server.ca_file, **certificate}
    login: dict[str, Any] = {"user": server.user, "password": server.password}
    store = await open_store(url, **tls, **login)
    assert await store.commit("p", [Write("k", None, b"v")])
    await store.close()

    with capture_logs() as logs:
        for options in (tls, {**tls, "user": server.user, "password": SECRET}):
            with pytest.raises(ConfigurationError, match="check the user and the password") as no:
                await open_store(url, **options)
            assert SECRET not in f"{no.value} {no.value!r} {logs} {caplog.text}"
        for options in (login, {"ca_file": server.ca_file, **login}):
            with pytest.raises((ConfigurationError, StoreUnavailable)):
                await open_store(url, **options)
    await check_rights(server, tls, login)


async def check_rights(server: Server, tls: dict[str, Any], login: dict[str, Any]) -> None:
    """A reader is told so at the start, and a user who may do nothing but his work works."""
    administrator = CqlOptions(hosts=server.hosts, keyspace="secured", **tls, **login)
    session = await CqlSession.connect(administrator)
    for user, rights in (("reader", "SELECT"), ("worker", "SELECT, MODIFY")):
        await session.query(f"CREATE ROLE {user} WITH LOGIN = true AND PASSWORD = '{SECRET}'")
        for right in rights.split(", "):
            await session.query(f"GRANT {right} ON KEYSPACE secured TO {user}")
    await session.close()
    with pytest.raises(ConfigurationError, match="refuses conditional writes") as refused:
        await open_store(f"{server.url}/secured", **tls, user="reader", password=SECRET)
    assert SECRET not in str(refused.value)
    with pytest.raises(ConfigurationError, match="refused to prepare"):
        await open_store(f"{server.url}/other", **tls, user="worker", password=SECRET)
    store = await open_store(f"{server.url}/secured", **tls, user="worker", password=SECRET)
    row = await store.get("p", "k")
    assert row is not None
    assert await store.commit("p", [Write("k", row.token, b"w")])
    await store.close()


def test_a_password_is_not_in_the_options_text() -> None:
    assert SECRET not in repr(CqlOptions(["h"], "tally", user="u", password=SECRET))
