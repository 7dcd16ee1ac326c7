from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tally.cli.__main__ import app

IRIS = Path(__file__).parents[2] / "data" / "iris" / "Iris_rtlm.csv"


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["federation", "simulate", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_files_rows_end_up_with_every_peer() -> None:
    code, out, _ = run(str(IRIS), "--peers", "3", "--seed", "4", "--rounds", "3", "--json")
    assert code == 0
    told = json.loads(out)
    assert [one["rows"] for one in told] == [150] * 3
    assert all(one["same bits"] and one["difference"] < 1e-12 for one in told)


def test_without_a_file_rows_are_made_up() -> None:
    code, out, _ = run("--peers", "3", "--rounds", "2")
    assert code == 0
    assert "peers have the same" in out
    assert run("--peers", "3", "--rounds", "2")[1] == out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((str(IRIS), "--peers", "30"), 1, "150 rows; 30 peers of 40 rows each are needed"),
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
