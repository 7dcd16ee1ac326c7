from __future__ import annotations

from pathlib import Path

import pytest

from tally.coordination.embedded import EmbeddedCoordinator
from tally.coordination.etcd import EtcdCoordinator
from tally.coordination.etcd_connection import EtcdOptions
from tally.coordination.open import open_coordinator
from tally.errors import ConfigurationError


async def test_sqlite_urls_name_relative_and_whole_paths(tmp_path: Path) -> None:
    assert repr(open_coordinator("sqlite:///a/b.db")) == "EmbeddedCoordinator('a/b.db', prefix='')"
    whole = open_coordinator(f"sqlite:///{tmp_path}/b.db")
    assert isinstance(whole, EmbeddedCoordinator)
    await whole.put("a", b"")
    assert (tmp_path / "b.db").exists()
    await whole.close()


async def test_etcd_urls_name_endpoints_with_a_default_port() -> None:
    coordinator = open_coordinator("etcd://h1:1,h2,[::1]:3", prefix="p/")
    assert isinstance(coordinator, EtcdCoordinator)
    assert repr(coordinator) == "EtcdCoordinator('h1:1,h2:2379,[::1]:3', prefix='p/')"
    await coordinator.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "none of sqlite, etcd, etcds"),
        ("redis://h:1", "'redis' is none of"),
        ("sqlite://", "names no file"),
        ("sqlite://host/file.db", "names no file"),
        ("etcd://", "lacks a host"),
        ("etcd://h:port", "'h:port'"),
        ("etcd://h:1,", "lacks a host"),
        ("etcd://h:1/prefix", "prefix is a setting"),
        ("etcd://h:1?timeout=1", "options are not part"),
    ],
)
def test_an_unusable_url_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        open_coordinator(url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="settings of their own") as refused:
        open_coordinator("etcd://user:secret@h:1")
    assert "secret" not in str(refused.value)


def test_options_that_the_backend_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="ca_file is an option of etcds"):
        open_coordinator("etcd://h:1", ca_file=Path("ca.pem"))
    with pytest.raises(ConfigurationError, match="password is an option of etcd") as refused:
        open_coordinator("sqlite:///a.db", password="secret")
    assert "secret" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="certificate and the key"):
        open_coordinator("etcds://h:1", cert_file=Path("c.pem"))
    with pytest.raises(ConfigurationError, match="user and the password"):
        open_coordinator("etcd://h:1", user="me")
    with pytest.raises(ConfigurationError, match="time-out: 0"):
        open_coordinator("etcd://h:1", timeout_s=0)


def test_options_do_not_show_their_password() -> None:
    assert "secret" not in repr(EtcdOptions(("h:1",), user="me", password="secret"))
