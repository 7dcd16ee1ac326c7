"""Every number that the protocol's reference prints for the Iris rows, asked over HTTP."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.symetry.customer import Customer, Told

pytestmark = pytest.mark.asyncio(loop_scope="module")

IRIS = Path(__file__).parents[2] / "data" / "iris"
QUESTIONS: list[dict[str, Any]] = json.loads((IRIS / "answers.json").read_text())
PROBABILITIES = {"zp", "tp", "tpu", "fp", "P", "pval"}
JOBS = {"vif", "explorepca", "exploresvd", "exploresvdfs"}


def frame(virginica_only: bool = False) -> dict[str, Any]:
    with (IRIS / "Iris_rtlm.csv").open() as file:
        names, *rows = csv.reader(file)
    kept = [row for row in rows if row[14] == "1" or not virginica_only]
    return {"attributeNames": names, "attributeTypes": ["C"] * 4 + ["B"] * 11, "data": kept}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def iris(ann: Customer) -> Customer:
    """Give a customer who has learned the rows, and in a second project those of one species."""
    for pid, virginica_only in (("iris", False), ("virginica", True)):
        assert (await ann.create(pid, "enableHistogram=true")).status == 201
        told = await ann.post(f"projects/{pid}/learn", frame(virginica_only))
        assert told.status == 200, told.body
    return ann


def near(expected: object, key: str = "") -> object:
    if key in PROBABILITIES:
        return pytest.approx(expected, rel=1e-6, abs=0)
    return expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-9, abs=1e-12)


def assert_values(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert {key: found[key] for key in expected} == {
        key: near(value, key) for key, value in expected.items()
    }


async def ask(customer: Customer, question: dict[str, Any]) -> Told:
    if "metric" in question:
        parameters = {
            "driftPreferenceProjectName": "iris",
            "driftAnalysisProjectName": "virginica",
            "driftMetric": question["metric"],
        }
        body = {**question["context"], "extraParameters": parameters}
        return await customer.post("projects/dataDrift", body)
    path = question["path"]
    told = await customer.post(
        f"projects/iris/{path}", {"values": [question["context"]]}, question.get("query", "")
    )
    return await customer.job(told) if path in JOBS else told


@pytest.mark.parametrize(
    "question", QUESTIONS, ids=[f"{n}-{one['path']}" for n, one in enumerate(QUESTIONS)]
)
async def test_an_answer_is_that_of_the_reference(iris: Customer, question: dict[str, Any]) -> None:
    told = await ask(iris, question)
    assert told.status == 200, told.body
    expected = question["expected"]
    match question["path"]:
        case "explore" | "dataDrift":
            assert_values(told.values["KSVDMap"]["values"][0], expected)
        case "vif":
            (found,) = told.values["KSVSMap"]["values"]
            assert_values({key: float(text) for key, text in found.items()}, expected)
        case "explorepca":
            assert_components(told.values, expected)
        case "exploresvd" | "exploresvdfs":
            (found,) = told.values["KSVSMap"]["values"]
            values, names = zip(*expected["pairs"], strict=True)
            assert list(found.values()) == list(names)
            assert [float(text) for text in found] == near(list(values))
        case _:
            assert_values(told.values["densityList"]["values"][0], expected)


def assert_components(found: dict[str, Any], expected: dict[str, Any]) -> None:
    (row,) = found["pcaValues"]["data"]
    values = expected["values"]
    assert [float(text) for text in row][: len(values)] == near(values)
    assert found["pcaSumValues"] == near(expected["sum"])
    if "first" in expected:
        first = [float(text) for text in found["pcaVectors"]["data"][0]]
        assert first == near(expected["first"])
