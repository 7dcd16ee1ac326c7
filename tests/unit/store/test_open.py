from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tally.errors import ConfigurationError, StoreUnavailable
from tally.store.open import open_store
from tally.store.sqlite import SqliteStore

CA = Path("ca.pem")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "'nothing' is not sqlite or cql"),
        ("mongodb://h", "'mongodb' is not sqlite or cql"),
        ("sqlite://", "names no file"),
        ("sqlite://host/file", "names no file"),
        ("sqlite:///f?mode=ro", "options are not part of it"),
        ("cql:///tally", "names no host"),
        ("cql://u:secret@h/tally", "settings of their own"),
        ("cql://h:x/tally", "'h:x' is not host:port"),
        ("cql://h:99999/tally", "'h:99999' is not host:port"),
        ("cql://h,/tally", "'' is not host:port"),
        ("cql://h/Drop-Table", "keyspace 'Drop-Table' must match"),
        ("cql://h/a/b", "keyspace 'a/b' must match"),
    ],
)
async def test_a_url_that_cannot_be_used_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        await open_store(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"user": "u"}, "need each other"),
        ({"password": "secret"}, "need each other"),
        ({"ca_file": CA, "key_file": CA}, "need each other"),
        ({"cert_file": CA, "key_file": CA}, "needs the authority's file"),
        ({"ca_file": CA}, "TLS files of the store"),
        ({"replication": 0}, "replication: 0"),
    ],
)
async def test_an_option_that_cannot_be_used_is_refused(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        await open_store("cql://127.0.0.1:1/tally", **options)
    assert "secret" not in str(caught.value)


async def test_options_of_a_server_are_refused_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cql:// only"):
        await open_store(f"sqlite:///{tmp_path}/s.db", user="u", password="p")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://bucket", "must be s3://"),
        ("s3:///prefix", "must be s3://"),
        ("s3://u:secret@bucket", "not part of it"),
        ("s3://bucket?endpoint=http://u:secret@h", "not part of it"),
        ("s3://bucket?endpoint=h:9000", "not http:// or https://"),
        ("s3://bucket?colour=red", "'colour' is none of endpoint, region"),
    ],
)
async def test_a_blob_url_that_cannot_be_used_is_refused(
    url: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        await open_store(f"sqlite:///{tmp_path}/s.db", blob_url=url)
    assert "secret" not in str(caught.value)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1 cannot be reached"):
        await open_store("cql://127.0.0.1:1/tally")


async def test_a_relative_path_is_beside_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = await open_store("sqlite:///folder/s.db")
    assert isinstance(store, SqliteStore)
    await store.close()
    assert (tmp_path / "folder" / "s.db").exists()


@pytest.mark.parametrize(
    ("package", "url", "blob_url"),
    [("cassandra", "cql://h/tally", ""), ("boto3", "sqlite:///{folder}/s.db", "s3://bucket")],
)
async def test_a_package_that_is_missing_is_named_with_the_line_that_installs_it(
    package: str, url: str, blob_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tally.store.cql", "tally.store.cql_session", "tally.store.s3"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tally\[(cql|s3)\]'"):
        await open_store(url.format(folder=tmp_path), blob_url=blob_url)
