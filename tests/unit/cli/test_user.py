from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tally.wire.secret_key import SecretKey

KEY = "AAECAwQFBgcICQoLDA0ODw=="


def tally(
    folder: Path, *words: str, stdin: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("TALLY_")}
    return subprocess.run(
        [sys.executable, "-m", "tally.cli", "user", *words],
        env={**clean, "TALLY_DATA_DIR": str(folder / "data"), "COLUMNS": "200", **settings},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_customer_is_added_listed_given_another_key_and_deleted(tmp_path: Path) -> None:
    added = tally(tmp_path, "add", "ann")
    assert added.returncode == 0
    first = SecretKey.parse(added.stdout.strip())
    (line,) = map(json.loads, added.stderr.splitlines())
    assert line["path"] == str(tmp_path / "data" / "master.key")
    assert "back this file up" in line["event"]

    given = tally(tmp_path, "add", "bob", "--key", "-", "--json", stdin=f"{KEY}\n")
    assert json.loads(given.stdout) == {"cid": "bob", "key": KEY}
    assert given.stderr == ""

    rotated = tally(tmp_path, "rotate-key", "ann")
    assert SecretKey.parse(rotated.stdout.strip()) != first

    table = tally(tmp_path, "list").stdout.splitlines()
    assert [row.split()[:2] for row in table] == [
        ["customer", "generation"],
        ["ann", "2"],
        ["bob", "1"],
    ]
    listed = json.loads(tally(tmp_path, "list", "--json").stdout)
    assert [(user["cid"], user["generation"]) for user in listed] == [("ann", 2), ("bob", 1)]

    assert tally(tmp_path, "delete", "ann").stdout == "ann is deleted\n"
    assert json.loads(tally(tmp_path, "delete", "bob", "--json").stdout)["deleted"]
    assert tally(tmp_path, "list").stdout == "no customers yet\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("delete", "ann"), "error: there is no user 'ann'"),
        (("add", "a/b"), "error: cid: 'a/b' is not 1 to 128 letters"),
        (("add", "ann", "--key", KEY[:-1]), "error: key: it is not the base64 of 16 bytes"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    told = tally(tmp_path, *words)
    assert told.returncode == 1
    assert told.stdout == ""
    assert sentence in told.stderr
    assert KEY[:-1] not in told.stderr


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    told = tally(tmp_path, "list", TALLY_STORE_REPLICATION="none")
    assert told.returncode == 1
    assert told.stderr.startswith("error: TALLY_STORE_REPLICATION: ")


def test_a_store_that_is_away_is_exit_code_3_in_one_sentence(tmp_path: Path) -> None:
    told = tally(tmp_path, "list", TALLY_STORE_URL="cql://127.0.0.1:1/tally")
    assert told.returncode == 3
    assert told.stderr.startswith("error: ")
    assert "Traceback" not in told.stderr
