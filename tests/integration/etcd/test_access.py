from __future__ import annotations

import asyncio
import logging
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from aetcd import rpc

from tally.coordination.base import Disconnected, Put, Reconnected, Snapshot
from tally.coordination.open import open_coordinator
from tally.errors import ConfigurationError, CoordinationUnavailable

if TYPE_CHECKING:
    from tests.integration.etcd.conftest import Etcd

PASSWORD = "correct horse battery"


def client_certificate(home: Path) -> tuple[Path, Path]:
    """Have the server's authority sign a certificate for us."""
    request = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
        " -CA ca.pem -CAkey ca-key.pem -subj /CN=client -keyout client-key.pem -out client.pem"
        " -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=clientAuth"
    )
    subprocess.run(request.split(), cwd=home, check=True, stderr=subprocess.DEVNULL)
    return home / "client.pem", home / "client-key.pem"


async def demand_passwords(etcd: Etcd) -> None:
    """Turn authentication on, with a user `tally` who may touch only what starts with `app/`."""
    async with grpc.aio.insecure_channel(etcd.endpoint) as channel:
        auth: Any = rpc.AuthStub(channel)
        for user in ("root", "tally"):
            await auth.UserAdd(rpc.AuthUserAddRequest(name=user, password=PASSWORD))
            await auth.RoleAdd(rpc.AuthRoleAddRequest(name=user))
            await auth.UserGrantRole(rpc.AuthUserGrantRoleRequest(user=user, role=user))
        may = rpc.Permission(permType=rpc.Permission.READWRITE, key=b"app/", range_end=b"app0")
        await auth.RoleGrantPermission(rpc.AuthRoleGrantPermissionRequest(name="tally", perm=may))
        await auth.AuthEnable(rpc.AuthEnableRequest())


async def test_tls_with_the_right_authority_works(tls_etcd: Etcd) -> None:
    url = f"etcds://{tls_etcd.endpoint}"
    coordinator = open_coordinator(url, ca_file=tls_etcd.home / "ca.pem")
    watch = coordinator.watch("")
    assert isinstance(await anext(watch), Snapshot)
    lease = await coordinator.grant(2)
    await coordinator.put("a", b"", lease)
    assert isinstance(await anext(watch), Put)
    await coordinator.close()


async def test_a_server_that_the_authority_does_not_know_is_refused(tls_etcd: Etcd) -> None:
    coordinator = open_coordinator(f"etcds://{tls_etcd.endpoint}", timeout_s=1)
    with pytest.raises(CoordinationUnavailable):
        await coordinator.put("a", b"")
    await coordinator.close()


async def test_a_client_without_tls_gets_nothing_from_a_server_with_it(tls_etcd: Etcd) -> None:
    coordinator = open_coordinator(f"etcd://{tls_etcd.endpoint}", timeout_s=1)
    with pytest.raises(CoordinationUnavailable):
        await coordinator.ping()
    await coordinator.close()


async def test_a_server_that_asks_for_a_client_certificate_gets_ours(tls_etcd: Etcd) -> None:
    authority = tls_etcd.home / "ca.pem"
    tls_etcd.add_arguments("--client-cert-auth", f"--trusted-ca-file={authority}")
    url = f"etcds://{tls_etcd.endpoint}"
    cert, key = client_certificate(tls_etcd.home)
    known = open_coordinator(url, ca_file=authority, cert_file=cert, key_file=key)
    await known.put("a", b"")
    await known.close()
    unknown = open_coordinator(url, ca_file=authority, timeout_s=1)
    with pytest.raises(CoordinationUnavailable):
        await unknown.put("a", b"")
    await unknown.close()


def test_a_certificate_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        open_coordinator("etcds://localhost", ca_file=Path("missing.pem"))


async def test_a_user_with_a_password_uses_what_is_granted(etcd: Etcd) -> None:
    await demand_passwords(etcd)
    url = f"etcd://{etcd.endpoint}"
    coordinator = open_coordinator(url, prefix="app/", user="tally", password=PASSWORD)
    watch = coordinator.watch("")
    assert isinstance(await anext(watch), Snapshot)
    lease = await coordinator.grant(2)
    await coordinator.put("a", b"", lease)
    assert isinstance(await anext(watch), Put)
    await asyncio.sleep(3)
    assert not lease.ended
    await lease.close()
    assert await coordinator.get("a") is None
    await coordinator.ping()
    await coordinator.close()
    elsewhere = open_coordinator(url, prefix="other/", user="tally", password=PASSWORD)
    with pytest.raises(CoordinationUnavailable, match="permission denied"):
        await elsewhere.put("a", b"")
    await elsewhere.close()


async def test_a_restart_that_voids_our_login_is_survived(etcd: Etcd) -> None:
    await demand_passwords(etcd)
    coordinator = open_coordinator(
        f"etcd://{etcd.endpoint}", prefix="app/", user="tally", password=PASSWORD
    )
    lease = await coordinator.grant(5)
    watch = coordinator.watch("")
    await anext(watch)
    await asyncio.to_thread(etcd.kill)
    await asyncio.to_thread(etcd.start)
    async with asyncio.timeout(20):
        assert isinstance(await anext(watch), Disconnected)
        assert await anext(watch) == Reconnected()
        await coordinator.put("a", b"", lease)
        assert isinstance(await anext(watch), Put)
    await coordinator.close()


async def test_a_call_whose_login_was_voided_logs_in_again(etcd: Etcd) -> None:
    await demand_passwords(etcd)
    coordinator = open_coordinator(
        f"etcd://{etcd.endpoint}", prefix="app/", user="tally", password=PASSWORD
    )
    revision = await coordinator.put("a", b"1")
    await asyncio.to_thread(etcd.kill)
    await asyncio.to_thread(etcd.start)
    assert await coordinator.replace("a", b"2", revision)
    await coordinator.close()


@pytest.mark.parametrize("password", ["wrong-" + PASSWORD, None])
async def test_a_wrong_or_missing_login_is_refused_and_no_secret_is_told(
    etcd: Etcd, password: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await demand_passwords(etcd)
    coordinator = open_coordinator(
        f"etcd://{etcd.endpoint}",
        prefix="app/",
        user=None if password is None else "tally",
        password=password,
    )
    with pytest.raises(CoordinationUnavailable) as refused:
        await coordinator.put("a", b"")
    watch = coordinator.watch("")
    event = await anext(watch)
    assert isinstance(event, Disconnected)
    for told in (str(refused.value), repr(refused.value), event.reason, repr(coordinator)):
        assert PASSWORD not in told
    assert PASSWORD not in caplog.text
    await coordinator.close()
