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
