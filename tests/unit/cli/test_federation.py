from __future__ import annotations

import json
import os
import pty
import select
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from tally.cli.__main__ import app
from tally.wire.bodycrypt import encrypt_with_password
from tally.wire.federation import open_map, seal_info
from tests.unit.cli.conftest import account
from tests.unit.client.signed_broker import KEY, Says, SignedBroker
from tests.unit.client.test_federation_status import STATS, info

IRIS = Path(__file__).parents[2] / "data" / "iris" / "Iris_rtlm.csv"


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["federation", "simulate", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_files_rows_end_up_with_every_peer() -> None:
    code, out, _ = run(str(IRIS), "--peers", "3", "--seed", "4", "--rounds", "3", "--json")
    assert code == 0
    told = json.loads(out)
    assert [one["rows"] for one in told["peers"]] == [150] * 3
    assert all(one["same bits"] and one["difference"] < 1e-12 for one in told["peers"])
    assert told["right"]
    assert told["happened"]


def test_files_of_the_users_own_split_are_one_peers_each(tmp_path: Path) -> None:
    header, *rows = IRIS.read_text().splitlines()
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file, part in zip(files, (rows[:100], rows[100:]), strict=True):
        file.write_text("\n".join([header, *part]))
    code, out, _ = run(*map(str, files), "--rounds", "2")
    assert code == 0
    table = [line.split() for line in out.splitlines() if line.startswith("peer ")][1:]
    assert [line[2:4] for line in table] == [["100", "150"], ["50", "150"]]
    assert "2 peers: each has the statistics of all 150 rows" in out
    code, _, error = run(*map(str, files), "--peers", "3")
    assert (code, error) == (1, "error: --peers: 2 files are of as many peers\n")


def test_a_file_that_is_no_table_is_refused_by_its_name(tmp_path: Path) -> None:
    noise = tmp_path / "noise.csv"
    noise.write_bytes(b"a,b\n\xff\xfe,1\n")
    code, _, error = run(str(noise))
    assert code == 1
    assert error.startswith(f"error: {noise}: this is no CSV in UTF-8")


def test_without_a_file_rows_are_made_up() -> None:
    code, out, _ = run("--peers", "3", "--rounds", "2")
    assert code == 0
    assert "peers in the end: each counts all" in out
    assert out.startswith("In 2 rounds: ")
    assert run("--peers", "3", "--rounds", "2")[1] == out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (
            (str(IRIS), "--peers", "30"),
            1,
            "peer 1: 5 rows; 40 are needed, since there are 15 attributes",
        ),
        (("no.csv",), 2, "does not exist"),
        (("--peers", "0"), 2, "--peers"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    arguments: tuple[str, ...], code: int, text: str
) -> None:
    found, _, error = run(*arguments)
    assert found == code
    assert text in " ".join(error.split())


def ask(broker: SignedBroker, *words: str, typed: str = "", **env: str) -> tuple[int, str, str]:
    given = {**account(broker), "TOKEN": "s3cret"}
    result = CliRunner().invoke(app, ["federation", *words], env=given | env, input=typed or None)
    assert "s3cret" not in result.output
    return result.exit_code, result.stdout, result.stderr


def sent(broker: SignedBroker, place: int = -1) -> dict[str, str]:
    return open_map(KEY, broker.asked[place].body)


def test_a_federation_is_made_with_its_secrets_from_elsewhere(broker: SignedBroker) -> None:
    words = ("--name", "flowers", "--nats", "nats://a,nats://b", "--every", "m5", "--no-hipaa")
    more = ("--secret", "nats_sec_token=env:TOKEN", "--term", "fed_local_type=gpu")
    assert ask(broker, "create", "m1", *words, *more, "--no-persist") == (
        0,
        "m1 is made: federation flowers, every m5\n",
        "",
    )
    assert broker.asked[0].path.endswith("/fedml/create")
    assert broker.asked[0].query == "pid=m1&persist=false"
    assert sent(broker) == {
        "fed_name": "flowers",
        "nats_hosts": "nats://a,nats://b",
        "sync_sched": "m5",
        "fed_enforce_hipaa_compliance": "false",
        "fed_encrypt": "false",
        "nats_sec_token": "s3cret",
        "fed_local_type": "gpu",
    }


def test_an_invitation_is_printed_and_joined_with_the_password_typed(
    broker: SignedBroker, tmp_path: Path
) -> None:
    invited = {"fed_name": "flowers", "sync_sched": "m5", "fed_req_token": "FEDTOKEN1"}
    text = encrypt_with_password("passwd", msgspec.json.encode(invited))
    broker.says.append(Says(values={"encryptedGroupInfo": text}))
    code, out, _ = ask(broker, "invite", "m1", "--hours", "3", typed="passwd\npasswd\n")
    assert (code, out.split()) == (0, [text])
    assert sent(broker) == {"passwd": "passwd", "fed_token_timeout_hours": "3"}
    (tmp_path / "invitation").write_text(f"{text}\n")
    told = seal_info(KEY, info())
    broker.says.extend(
        [Says(201), Says(values={"fedInfoEncrypted": told}), Says(values={"fedSyncStats": STATS})]
    )
    arguments = ("join", "m1", str(tmp_path / "invitation"), "--password", "env:WORD", "--hipaa")
    code, out, _ = ask(broker, *arguments, WORD="passwd")
    assert (code, out) == (0, "m1 has joined federation flowers, every m5\n")
    assert broker.asked[1].path.endswith("/fedml/createJoin")
    assert sent(broker, 1) == {**invited, "fed_enforce_hipaa_compliance": "true"}


def test_ctrl_c_ends_a_command_that_asks_for_a_password(broker: SignedBroker) -> None:
    words = (sys.executable, "-m", "tally.cli", "federation", "invite", "m1")
    given = {**os.environ, **account(broker)}
    process, terminal = pty.fork()
    if process == 0:
        os.execve(words[0], words, given)
    shown = b""
    try:
        while b"Password" not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        with suppress(OSError):  # as Linux tells that nobody is there any more
            while select.select([terminal], [], [], 20)[0]:
                os.read(terminal, 1000)
    finally:
        os.close(terminal)  # if it has not ended, this is its end
        _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 130


def test_where_nobody_can_type_a_password_the_command_says_how_to_give_it(
    broker: SignedBroker,
) -> None:
    code, _, error = ask(broker, "invite", "m1")
    assert code == 1
    assert "--password: nobody types it here: give FILE, or env:NAME of a variable\n" in error
    assert broker.asked == []


def test_pulsing_is_started_and_stopped(broker: SignedBroker) -> None:
    assert ask(broker, "start", "m1")[:2] == (0, "m1 is pulsing\n")
    assert ask(broker, "stop", "m1")[:2] == (0, "m1 stands by\n")
    paths = [asked.path.rpartition("/")[2] for asked in broker.asked]
    assert paths == ["startPulse", "stopPulse"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("join", "m1", "nothing"), "INVITATION: the file that it names: No such file"),
        (("join", "m1", "FILE", "--password", "env:TOKEN"), "not encrypted with this password"),
        (("join", "m1", "FILE", "--password", "env:NO"), "the variable 'NO' is not set"),
        (("create", "m1", "--name", "f", "--nats", "n", "--term", "x"), "is not name=value"),
        (
            ("create", "m1", "--name", "f", "--nats", "n", "--secret", "k=hush"),
            "--secret: the file",
        ),
        (("join", "m1", "FILE", "--password", "hush"), "--password: the file that it names"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_asks_nobody(
    broker: SignedBroker, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    file = tmp_path / "invitation"
    file.write_text(encrypt_with_password("other", b"{}"))
    code, out, error = ask(broker, *(str(file) if word == "FILE" else word for word in words))
    assert (code, out) == (1, "")
    assert sentence in error
    assert "hush" not in error  # what was to be a file may be the secret itself
    assert broker.asked == []
