"""The Iris rows as a client learns them, and every number that the protocol's reference prints."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.symetry.customer import Customer, Told

_FOLDER = Path(__file__).parents[2] / "data" / "iris"
_PROBABILITIES = {"zp", "tp", "tpu", "fp", "P", "pval"}
_JOBS = {"vif", "explorepca", "exploresvd", "exploresvdfs"}

WHOLE, PART = "iris", "virginica"
"""The project of all rows, and the one of a single species."""

Question = dict[str, Any]
QUESTIONS: list[Question] = json.loads((_FOLDER / "answers.json").read_text())


def frame(*, only_virginica: bool = False) -> dict[str, Any]:
    """Return the rows as a body to learn."""
    with (_FOLDER / "Iris_rtlm.csv").open() as file:
        names, *rows = csv.reader(file)
    kept = [row for row in rows if row[14] == "1" or not only_virginica]
    return {"attributeNames": names, "attributeTypes": ["C"] * 4 + ["B"] * 11, "data": kept}


async def learn(customer: Customer) -> None:
    """Make both projects, and learn the rows."""
    for pid in (WHOLE, PART):
        told = await customer.create(pid, "enableHistogram=true")
        assert told.status == 201, told.body
        rows = frame(only_virginica=pid == PART)
        told = await customer.post(f"projects/{pid}/learn", rows)
        assert told.status == 200, told.body


async def check(customer: Customer, question: Question, pid: str = WHOLE) -> None:
    """Ask a question and compare the answer with the reference's."""
    told = await _ask(customer, question, pid)
    assert told.status == 200, told.body
    expected = question["expected"]
    match question["path"]:
        case "explore" | "dataDrift":
            _assert_values(told.values["KSVDMap"]["values"][0], expected)
        case "vif":
            (found,) = told.values["KSVSMap"]["values"]
            _assert_values({key: float(text) for key, text in found.items()}, expected)
        case "explorepca":
            _assert_components(told.values, expected)
        case "exploresvd" | "exploresvdfs":
            (found,) = told.values["KSVSMap"]["values"]
            values, names = zip(*expected["pairs"], strict=True)
            assert list(found.values()) == list(names)
            assert [float(text) for text in found] == _near(list(values))
        case _:
            _assert_values(told.values["densityList"]["values"][0], expected)


async def _ask(customer: Customer, question: Question, pid: str) -> Told:
    if "metric" in question:
        parameters = {
            "driftPreferenceProjectName": pid,
            "driftAnalysisProjectName": PART,
            "driftMetric": question["metric"],
        }
        body = {**question["context"], "extraParameters": parameters}
        return await customer.post("projects/dataDrift", body)
    path = question["path"]
    body = {"values": [question["context"]]}
    told = await customer.post(f"projects/{pid}/{path}", body, question.get("query", ""))
    return await customer.job(told) if path in _JOBS else told


def _assert_values(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert {key: found[key] for key in expected} == {
        key: _near(value, key) for key, value in expected.items()
    }


def _assert_components(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    (row,) = found["pcaValues"]["data"]
    values = expected["values"]
    assert [float(text) for text in row][: len(values)] == _near(values)
    assert found["pcaSumValues"] == _near(expected["sum"])
    if "first" in expected:
        first = [float(text) for text in found["pcaVectors"]["data"][0]]
        assert first == _near(expected["first"])


def _near(expected: object, key: str = "") -> object:
    if key in _PROBABILITIES:
        return pytest.approx(expected, rel=1e-6, abs=0)
    return expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-9, abs=1e-12)
