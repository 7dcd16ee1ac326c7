from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tally.cli.__main__ import app
from tests.unit.cli.conftest import account
from tests.unit.cli.test_project import Run
from tests.unit.client.signed_broker import (
    CID,
    Asked,
    Says,
    SignedBroker,
    project,
)

STARTED = Says(202, "Job Created", headers={"sym-job-id": "7"})
JOB = {"jobId": 7, "jobType": "autoSelect", "owner": CID, "startingDate": 0, "isStarted": True}
RUNNING = Says(202, "Job still running", {"jobinfo": JOB})
FINISHED = Says(200, "Job is finished")


def frame(letters: str, **columns: list[str]) -> dict[str, object]:
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return {"attributeNames": list(columns), "attributeTypes": list(letters), "data": rows}


COEFFICIENTS = frame("SC", attribute=["x", "intercept"], coefficient=["0.5", "1.25"])
TOLD = {
    "modelId": "m",
    "modelType": "ridge",
    "creationDate": 0,
    "attributeNames": ["x"],
    "attributeIndexes": [0],
    "attributeTypes": ["C"],
    "targetNames": ["y"],
    "predictInfo": ["res"],
    "info": {"modelVersion": "2", "rows": "9.0", "dropped_0": "z: constant", "warning": "careful"},
    "extra": {"coefficients": COEFFICIENTS},
}
INFO = Says(values={"modelInfo": TOLD})
SHOWN = """\
m: ridge of y, version 2, rows 9
warning: careful
left out: z: constant
attribute  coefficient
x                  0.5
intercept         1.25
"""


@pytest.fixture
def run(broker: SignedBroker) -> Run:
    """Give a function that runs `tally project model`."""
    env = account(broker)
    return lambda *words, stdin="": CliRunner().invoke(
        app, ["project", "model", *words], input=stdin, env=env
    )


@pytest.fixture
def rows(tmp_path: Path) -> str:
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n1,2\n3,4\n")
    return str(file)


def test_a_build_waits_and_shows_the_coefficients(run: Run, broker: SignedBroker) -> None:
    broker.says.extend([STARTED, FINISHED, INFO])
    told = run("build", "p", "m", "ridge", "x", "z", "-t", "y", "-o", "lambda=0.1", "--svdreduce")
    assert (told.exit_code, told.stdout) == (0, SHOWN)
    assert broker.asked[0].query == "modelid=m&algo=ridge&svdreduce=true"
    assert json.loads(broker.asked[0].body) == {
        "targetAttributeNames": ["y"],
        "inputAttributeNames": ["x", "z"],
        "extraParameters": {"lambda": "0.1"},
    }


def test_no_option_is_taken_for_an_argument_of_the_client(run: Run, broker: SignedBroker) -> None:
    broker.says.extend([STARTED, FINISHED, INFO])
    odd = ("-o", "targets=x", "-o", "on_progress=1", "-o", "self=2")
    assert run("build", "p", "m", "mlr", "x", "-t", "y", *odd).exit_code == 0
    told = json.loads(broker.asked[0].body)
    assert told["targetAttributeNames"] == ["y"]
    assert told["extraParameters"] == {"targets": "x", "on_progress": "1", "self": "2"}


def test_a_build_that_fails_says_why(run: Run, broker: SignedBroker) -> None:
    broker.says.extend([STARTED, Says(500, "the inputs are singular")])
    told = run("build", "p", "m", "mlr", "x", "-t", "y")
    assert (told.exit_code, told.stderr) == (1, "error: the inputs are singular\n")
    told = run("build", "p", "m", "mlr", "x", "-t", "y", "-o", "lambda")
    assert told.stderr == "error: --option: 'lambda' is not name=value\n"


def test_searches_send_their_rows_and_options(run: Run, broker: SignedBroker, rows: str) -> None:
    broker.says.extend([STARTED, FINISHED, INFO] * 3)
    told = run("auto-select", "p", "m", "x", "-t", "y", "--rows", rows, "--task", "regression")
    assert told.stdout == SHOWN
    assert run("select", "p", "m", "mlr", "x", "-t", "y", "--rows", rows).exit_code == 0
    told = run("reduce", "p", "m", "x", "-t", "y", "--delta", "0.1", "--iterations", "2", "--json")
    assert json.loads(told.stdout)["tables"]["coefficients"]["coefficient"] == [0.5, 1.25]
    asked = broker.asked[::3]
    assert [each.path.rpartition("/")[2] for each in asked] == [
        "autoSelect",
        "selectModel",
        "reduce",
    ]
    assert [each.query for each in asked] == [
        "task=regression&modelid=m",
        "algo=mlr&modelid=m",
        "modelid=m&algo=lda&delta=0.1&numIterations=2",
    ]
    assert json.loads(asked[0].body)["dataframe"]["data"] == [["1", "2"], ["3", "4"]]


def test_a_search_that_is_interrupted_is_stopped_on_the_server(
    run: Run, broker: SignedBroker, rows: str
) -> None:
    caller = threading.get_ident()

    def watch(asked: Asked) -> None:
        broker.says.append(STARTED if asked.method == "POST" else RUNNING)
        if asked.method == "GET":
            signal.pthread_kill(caller, signal.SIGINT)

    broker.watch = watch
    told = run("auto-select", "p", "m", "x", "-t", "y", "--rows", rows)
    assert told.exit_code == 130
    assert told.stderr.startswith("stopped; model m is as it was")
    assert broker.asked[-1].method == "DELETE"
    assert broker.asked[-1].path.endswith("jobs/7")


def test_rows_are_answered_on_the_screen_and_into_a_file(
    run: Run, broker: SignedBroker, rows: str, tmp_path: Path
) -> None:
    answers = {"KSVSMap": {"values": [{"res": "0.5"}, {"res": "1.5"}]}}
    says = Says(values=answers, headers={"X-Model-Version": "3"})
    broker.says.extend([says] * 3)
    told = run("predict", "p", "m", rows, "--impute")
    assert told.stdout == "2 rows by version 3\nrow  res\n1    0.5\n2    1.5\n"
    assert broker.asked[0].query == "impute=true"
    told = run("predict", "p", "m", rows, "--json")
    assert json.loads(told.stdout) == {"columns": {"res": [0.5, 1.5]}, "version": 3}
    file = tmp_path / "answers.csv"
    told = run("predict", "p", "m", rows, "--to", str(file))
    assert told.stdout == f"2 rows, answered by version 3, are written to {file}\n"
    assert file.read_text().splitlines() == ["res", "0.5", "1.5"]


def test_models_are_listed_shown_and_deleted(run: Run, broker: SignedBroker) -> None:
    says = project()
    told = dict(says.values["smlInfo"]) | {"modelsList": ["m"], "modelTypeList": ["ridge"]}  # type: ignore[call-overload]
    broker.says.extend([says, Says(values={"smlInfo": told}), INFO])
    assert run("list", "p").stdout == "no models yet\n"
    assert json.loads(run("list", "p", "--json").stdout) == {"m": "ridge"}
    assert run("info", "p", "m").stdout == SHOWN
    assert run("delete", "p", "m").stdout == "m is deleted\n"
    broker.says.append(Says(500, "Generic Exception <Error no such model <m>>"))
    assert run("delete", "p", "m").exit_code == 1


def test_versions_are_listed_and_rolled_back(run: Run, broker: SignedBroker) -> None:
    each = {"modelType": "mlr", "buildTime": 1, "rows": 9.0, "learned": 9.0, "creationDate": 0}
    kept = [each | {"version": number, "sizeBytes": 100} for number in (1, 2)]
    says = Says(values={"modelVersions": {"current": 2, "previous": 1, "values": kept}})
    broker.says.extend([says, says])
    assert run("versions", "p", "m").stdout.splitlines()[1:] == [
        "1              mlr     9  1970-01-01 00:00:00    100",
        "2 *            mlr     9  1970-01-01 00:00:00    100",
        "* is served",
    ]
    assert run("rollback", "p", "m", "2").stdout == "m: version 2 is served again\n"
    assert broker.asked[1].query == "to=2"


def test_models_move_through_files_and_pipes(
    run: Run, broker: SignedBroker, tmp_path: Path
) -> None:
    text = Says(values={"string": "YWJj"})
    broker.says.extend([text, text, Says(), INFO, Says(values={"string": "def m_score(x):\n"})])
    file = tmp_path / "m.txt"
    assert run("export", "p", "m", str(file)).stdout == f"m is written to {file}\n"
    assert run("export", "p", "m", "-").stdout == "YWJj\n"
    assert run("import", "p", "n", str(file)).stdout == f"n is made of {file}\n"
    assert (broker.asked[2].query, broker.asked[2].body) == ("modelid=n", b"YWJj")
    assert run("code", "p", "m").stdout == "def m_score(x):\n"
    assert broker.asked[4].query == "language=python"


def test_a_model_is_drawn_or_it_is_said_why_not(
    run: Run, broker: SignedBroker, tmp_path: Path
) -> None:
    broker.says.extend([INFO, INFO, INFO])
    file = tmp_path / "m.svg"
    assert run("plot", "p", "m", str(file)).stdout == f"written: {file}\n"
    assert b"<svg" in file.read_bytes()
    told = run("plot", "p", "m", str(file), "--what", "path")
    assert told.stderr.startswith("error: path: model m of ridge keeps none; build a ridge, lasso")
    told = run("plot", "p", "m", str(file), "--column", "scores")
    assert told.stderr == "error: column: model m has no 'scores'; it has coefficient\n"
