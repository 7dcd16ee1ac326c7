from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tally.cli.__main__ import app
from tally.cli.asking import Asker
from tests.unit.cli.conftest import account
from tests.unit.client.signed_broker import (
    KEY,
    Asked,
    Says,
    SignedBroker,
    learned,
    project,
)

Run = Callable[..., Result]


@pytest.fixture
def run(broker: SignedBroker) -> Run:
    """Give a function that runs `tally project`."""

    def run_(*words: str, stdin: str = "", **env: str) -> Result:
        given = account(broker) | env
        return CliRunner().invoke(app, ["project", *words], input=stdin, env=given)

    return run_


@pytest.fixture
def rows(tmp_path: Path) -> str:
    file = tmp_path / "rows.csv"
    file.write_text("x,town\n1,Rome\n2,Bonn\n3,Rome\n")
    return str(file)


def test_rows_are_learned_and_forgotten(run: Run, broker: SignedBroker, rows: str) -> None:
    broker.says.append(project())
    told = run("learn", "p", rows, "-t", "town=t", "--rows-per-request", "2")
    assert (told.exit_code, told.stdout) == (0, "p has learned 3 rows\n")
    assert [asked.query for asked in learned(broker)] == ["attributeTypes=C%2CT"] * 2
    broker.says.append(project(["x", "town$rome"], "CB"))
    told = run("forget", "p", rows, "--json")
    assert json.loads(told.stdout)["rows"] == 3


def test_a_learn_that_stops_says_how_to_go_on(run: Run, broker: SignedBroker, rows: str) -> None:
    broker.says.extend([project(), Says(), Says(400, "bad cell")])
    told = run("learn", "p", rows, "-t", "town=T", "--rows-per-request", "2")
    assert told.exit_code == 1
    assert "2 rows are counted, resume the others with " in told.stderr
    resume = told.stderr.split()[-1]
    broker.says.append(project())
    told = run("learn", "p", rows, "-t", "town=T", "--resume", resume)
    assert told.exit_code == 0
    numbers = [asked.batch_id.partition(":")[2] for asked in learned(broker)]
    assert numbers == ["0", "1", "1"]


def test_a_learn_that_is_interrupted_says_how_to_go_on(
    run: Run, broker: SignedBroker, rows: str
) -> None:
    caller = threading.get_ident()

    def interrupt(asked: Asked) -> None:
        if asked.batch_id.endswith(":1"):
            signal.pthread_kill(caller, signal.SIGINT)

    broker.says.append(project())
    broker.watch = interrupt
    told = run("learn", "p", rows, "-t", "town=T", "--rows-per-request", "1")
    assert told.exit_code == 130
    batch_id = learned(broker)[0].batch_id.partition(":")[0]
    assert told.stderr == f"stopped; go on with --resume {batch_id}.1.1\n"


@pytest.mark.parametrize(
    ("words", "says", "code", "sentence"),
    [
        (("info", "p"), Says(400, "Cannot Find SYMETRYML id[p]"), 1, "Cannot Find SYMETRYML id[p]"),
        (("create", "p"), Says(409, "already there"), 1, "already there"),
        (("create", "p", "-o", "a"), None, 1, "--option: 'a' is not name=value"),
        (("list",), Says(401, "Invalid Signature"), 1, "Invalid Signature: the customer is"),
        (("list",), Says(503, "later", headers={"Retry-After": "60"}), 3, "later"),
        (("explore", "p", "mode"), None, 1, "metric: 'mode' is none of describe, "),
        (("explore", "p", "bi", "x"), None, 1, "name two attributes, not 1"),
        (("explore", "p", "gain", "x"), None, 1, "--by: name one attribute"),
        (("explore", "p", "ttest", "x"), None, 1, "or a number to compare with"),
        (("explore",), None, 2, "Missing argument"),
        (("import", "p", "nothing.txt"), None, 1, "nothing.txt: No such file"),
        (("learn", "p", "nothing.csv"), None, 2, "does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_an_exit_code(
    run: Run,
    broker: SignedBroker,
    words: tuple[str, ...],
    says: Says | None,
    code: int,
    sentence: str,
) -> None:
    if says is not None:
        broker.says.append(says)
    told = run(*words)
    assert (told.exit_code, told.stdout) == (code, "")
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr


def test_a_column_of_text_is_explained_in_words_of_the_command_line(
    run: Run, broker: SignedBroker, rows: str
) -> None:
    broker.says.append(project())
    told = run("learn", "p", rows)
    assert told.exit_code == 1
    assert "--type town=T" in " ".join(told.stderr.split())


def test_nobody_at_the_address_is_exit_code_3(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Asker.__init__, "__defaults__", (0.0,))
    told = run("list", TALLY_URL="http://127.0.0.1:9")
    assert told.exit_code == 3
    assert "no answer from http://127.0.0.1:9" in told.stderr


def test_the_key_comes_from_the_environment_or_a_file_and_is_never_shown(
    run: Run, broker: SignedBroker, tmp_path: Path
) -> None:
    names = Says(values={"smlInfoList": {"values": []}})
    file = tmp_path / "key"
    file.write_text(KEY.text)
    for words, stdin in ((("--key-file", str(file)), ""), (("--key-file", "-"), KEY.text)):
        broker.says.append(names)
        told = run("list", *words, stdin=stdin, TALLY_KEY="")
        assert (told.exit_code, told.stdout) == (0, "no projects yet\n")
    for wrong in (KEY.text[:-1], ""):
        told = run("list", TALLY_KEY=wrong)
        assert told.exit_code == 1
        assert "error: key: " in told.stderr
        assert KEY.text[:-2] not in told.output
    assert KEY.text not in run("list", "--help").output


def test_an_export_goes_to_a_file_or_on(run: Run, broker: SignedBroker, tmp_path: Path) -> None:
    broker.says.extend([Says(bare=b"QUJD"), Says(bare=b"QUJD"), Says(), project()])
    file = tmp_path / "p.txt"
    assert run("export", "p", str(file)).exit_code == 0
    assert file.read_text() == "QUJD"
    assert run("export", "p", "-").stdout == "QUJD\n"
    told = run("import", "q", "-", "--no-persist", stdin="QUJD\n")
    assert told.stdout == "q is made of -\n"
    assert (broker.asked[-2].body, broker.asked[-2].query) == (b"QUJD", "persist=false")


def test_numbers_that_are_none_are_null_in_json(run: Run, broker: SignedBroker) -> None:
    broker.says.append(Says(values={"KSVDMap": {"values": [{"count": 1.0, "mean": None}]}}))
    told = run("explore", "p", "describe", "x", "--json")
    assert json.loads(told.stdout)["attributes"][0]["mean"] is None
