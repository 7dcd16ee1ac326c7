"""What docs/reference/signing.md says is what the code does, its shell function included."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import subprocess
from pathlib import Path

import pytest

from tally.wire import credentials, signing
from tally.wire.credentials import Credentials
from tally.wire.signing import SignedRequest, verify
from tests.unit.wire.vectors import CID, DATE, KEY, VECTORS, ClockAt

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "signing.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FUNCTION = next(text for kind, text in BLOCKS if kind == "sh" and text.startswith("symetry()"))

# What the function runs is real, but for the moment and for curl, which shows what it was given.
FAKES = f"""
date() {{ [ "$1" = -u ] && echo '{DATE}'; }}
curl() {{ printf '%s\\n' "$@"; }}
"""


def called(shell: str, folder: Path, *arguments: str) -> list[str]:
    script = f'{FAKES}\n{FUNCTION}\nsymetry "$@"'
    done = subprocess.run(
        [shell, "-eu", "-c", script, shell, *arguments],
        env={
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "TALLY_URL": "http://localhost:8080",
            "TALLY_CID": CID,
            "TALLY_KEY": KEY.text,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("name", ["V1", "V2", "V3", "V4", "V7", "V8"])
def test_the_shell_function_signs_as_existing_clients_do(
    shell: str, name: str, tmp_path: Path
) -> None:
    vector = VECTORS[name]
    path = vector.raw_path.removeprefix(f"/symetry/rest/{CID}")
    arguments = [vector.verb, path]
    if vector.query or vector.body:
        arguments.append(vector.query)
    if vector.body:
        (tmp_path / "the body").write_bytes(vector.body)
        arguments.append("the body")
    given = called(shell, tmp_path, *arguments)
    assert given[:2] == ["-sS", "-X"]
    assert given[2] == vector.verb
    assert f"Authorization: {vector.signature}" in given
    assert f"sym-date: {DATE}" in given
    query = f"?{vector.query}" if vector.query else ""
    assert given[-1] == f"http://localhost:8080{vector.raw_path}{query}"
    assert ("@the body" in given) == bool(vector.body)


def test_the_shell_function_signs_bytes_and_hands_options_to_curl(tmp_path: Path) -> None:
    body = b"a\n\x01\xff\n\n"
    (tmp_path / "body").write_bytes(body)
    given = called("sh", tmp_path, "POST", "/p", "a=b c", "body", "-H", "Content-Type: text/csv")
    signature = next(text for text in given if text.startswith("Authorization: "))[15:]
    request = SignedRequest("POST", CID, b"/symetry/rest/c1/p", b"a=b c", body=body)
    verify(request, Credentials.checked(signature, DATE, "", "", ClockAt()), KEY)
    at = given.index("Content-Type: text/csv")
    assert given[at - 1 : at + 1] == ["-H", "Content-Type: text/csv"]


def test_the_function_has_six_lines() -> None:
    head, *lines, end = FUNCTION.splitlines()
    assert head.startswith("symetry() (")
    assert end == ")"
    assert len(lines) == 6


def test_the_worked_example_is_right() -> None:
    signed = next(text for kind, text in BLOCKS if kind == "text" and text.startswith("GET"))
    mac = hmac.new(KEY.raw, signed.encode(), hashlib.sha256)
    assert f"give `{base64.b64encode(mac.digest()).decode()}`" in PAGE
    assert KEY.text in signed


def test_the_texts_of_the_refusals_and_the_window_are_those_of_the_code() -> None:
    source = Path(signing.__file__).read_text() + Path(credentials.__file__).read_text()
    section = PAGE.partition("## What is refused")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d) \|.*\| (4\d\d) \| `(.+?)` \|$", section, re.MULTILINE)
    assert [number for number, _, _ in rows] == list("1234567")
    for _, _, text in rows:
        assert f'"{text}"' in source
    assert credentials.OLDEST.total_seconds() == 5 * 60
    assert credentials.NEWEST.total_seconds() == 60
    assert "from 5 minutes before the server's clock to 1 minute after it" in PAGE
