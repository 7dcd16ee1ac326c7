from __future__ import annotations

import json
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from tally.cli.__main__ import app
from tally.cli.output import Exit, print_json, print_table, run
from tally.client.errors import ServerAway, ServerRefused
from tally.errors import InvalidInput


async def raising(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServerAway("no answer from [here]"), Exit.AWAY),
        (ServerRefused(503, {"detail": "no answer from [here]"}), Exit.AWAY),
        (ServerRefused(400, {"detail": "no answer from [here]"}), Exit.REFUSED),
        (InvalidInput("url", "no answer from [here]"), Exit.REFUSED),
    ],
)
def test_an_error_is_one_sentence_on_stderr_and_an_exit_code(
    error: Exception, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught:
        run(raising(error))
    assert caught.value.exit_code == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert "no answer from [here]" in told.err.replace("\n", " ")


def test_what_a_call_returns_is_returned() -> None:
    async def three() -> int:
        return 3

    assert run(three()) == 3


def test_json_is_one_line_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"data": [1.5], "name": "ü"})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"data": [1.5], "name": "ü"}


def test_a_table_that_is_piped_is_not_folded_to_a_width(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = "x" * 300
    print_table(("a", "b"), [(long, "end")], empty="")
    assert capsys.readouterr().out.splitlines()[1] == f"{long}  end"


def test_a_table_shows_its_rows_and_what_to_do_without_any(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("version", "who"), [(1, "ann"), (2, None)], empty="nothing yet")
    table = capsys.readouterr().out
    assert "version" in table
    assert "ann" in table
    assert "None" not in table
    print_table(("version",), [], empty="nothing yet")
    assert capsys.readouterr().out.strip() == "nothing yet"


def test_the_version_is_told() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.output) == (0, f"tally {version('tally')}\n")
