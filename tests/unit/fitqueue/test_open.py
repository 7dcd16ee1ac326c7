from __future__ import annotations

import os
from pathlib import Path

import nkeys  # type: ignore[import-untyped]
import pytest

from tally.errors import ConfigurationError
from tally.fitqueue.embedded import EmbeddedQueue
from tally.fitqueue.jetstream import JetStreamQueue
from tally.fitqueue.open import open_queue

SECRET = "hunter2hunter2"


async def test_three_slashes_name_a_file_beside_the_process_and_four_a_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///beside/queue.db", f"sqlite:///{tmp_path}/whole.db"):
        queue = open_queue(url)
        assert isinstance(queue, EmbeddedQueue)
        await queue.close()
    assert (tmp_path / "beside" / "queue.db").exists()
    assert (tmp_path / "whole.db").exists()


@pytest.mark.parametrize(
    "url", ["nats://h", "nats://h:4222", "tls://a:1,b.c:2,[::1]:3", "nats://h:1/some_name-2"]
)
async def test_nats_urls_are_opened_without_a_server(url: str) -> None:
    queue = open_queue(url)
    assert isinstance(queue, JetStreamQueue)
    await queue.close()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "'nothing' is not sqlite"),
        ("redis://h:1", "'redis' is not sqlite"),
        ("sqlite:///", "names no file"),
        ("sqlite://queue.db", "names no file"),
        ("nats://", "'' is not host:port"),
        ("nats://a:1,,b:2", "'' is not host:port"),
        ("nats://a:port", "'a:port' is not host:port"),
        ("nats://[::1", "cannot be read"),
        ("nats://h:1/a.b", "the name 'a.b'"),
        ("nats://h:1/" + "x" * 65, "the name"),
        (f"nats://user:{SECRET}@h:1", "settings of their own"),
    ],
)
def test_a_url_that_cannot_be_used_is_explained(url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match="queue URL") as caught:
        open_queue(url)
    assert complaint in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_credentials_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="both or neither"):
        open_queue("nats://h", user="someone")
    with pytest.raises(ConfigurationError, match="both or neither"):
        open_queue("nats://h", password=SECRET)
    with pytest.raises(ConfigurationError, match="one of") as caught:
        open_queue("nats://h", user="someone", password=SECRET, token=SECRET)
    assert SECRET not in repr(caught.value)
    with pytest.raises(ConfigurationError, match="both or neither"):
        open_queue("tls://h", cert_file=tmp_path / "cert.pem")


def test_certificates_without_tls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="tls://"):
        open_queue("nats://h", ca_file=tmp_path / "ca.pem")


def test_files_that_cannot_be_used_are_named_and_not_shown(tmp_path: Path) -> None:
    missing, wrong = tmp_path / "missing", tmp_path / "wrong"
    wrong.write_text(SECRET)
    for path in (missing, wrong):
        for option in ("nkey_file", "credentials_file"):
            with pytest.raises(ConfigurationError, match=path.name) as caught:
                open_queue("nats://h", **{option: path})  # type: ignore[arg-type]
            assert SECRET not in repr(caught.value)
        with pytest.raises(ConfigurationError, match=path.name):
            open_queue("tls://h", ca_file=path)


def test_a_credentials_file_needs_both_of_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "half.creds"
    path.write_text("-----BEGIN NATS USER JWT-----\nabc\n")
    with pytest.raises(ConfigurationError, match=r"lacks a user's JWT or seed"):
        open_queue("nats://h", credentials_file=path)


async def test_the_seed_of_an_nkey_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER) + b"\n")
    await open_queue("nats://h", nkey_file=path).close()


def test_options_shown_in_a_log_hold_no_secret() -> None:
    from tally.fitqueue.nats_connection import NatsOptions

    shown = repr(NatsOptions(("nats://h",), user="someone", password=SECRET))
    assert "someone" in shown
    assert SECRET not in shown
    assert SECRET not in repr(NatsOptions(("nats://h",), token=SECRET))
