"""Classifiers and covariances over the signed API, with the numbers of the protocol's reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.symetry import iris
from tests.integration.symetry.customer import Customer

pytestmark = pytest.mark.asyncio(loop_scope="module")

X4 = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SPECIES = ["Iris_setosa", "Iris_versicolor", "Iris_virginica"]
SETOSA, VERSICOLOR, _ = SPECIES
ROWS = iris.frame()
WHOLE, BY_SPECIES = "vectors", "byspecies"
PARTS = [species.lower() for species in SPECIES]  # as the values of a partition column are kept


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def learned(ann: Customer) -> Customer:
    """Return a customer with the flowers in a plain project, and in one with a part per species."""
    assert (await ann.create(WHOLE)).status == 201
    assert (await ann.post(f"projects/{WHOLE}/learn", ROWS)).status == 200
    told = await ann.create(BY_SPECIES, "type=partition", partitionSplit="species")
    assert told.status == 201, told.body
    parts = {
        "attributeNames": [*ROWS["attributeNames"], "species"],
        "attributeTypes": [*ROWS["attributeTypes"], "S"],
        "data": [[*row, _species(row)] for row in ROWS["data"]],
    }
    told = await ann.post(f"projects/{BY_SPECIES}/learn", parts)
    assert told.status == 200, told.body
    return ann


def _species(row: Sequence[str]) -> str:
    return SPECIES[row[12:].index("1")]


async def built(
    customer: Customer,
    algo: str,
    inputs: Sequence[str],
    targets: Sequence[str],
    pid: str = WHOLE,
    **parameters: str,
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return what a model tells of itself, and its answers to all rows."""
    body = {
        "targetAttributeNames": list(targets),
        "inputAttributeNames": list(inputs),
        "extraParameters": parameters,
    }
    told = await customer.job(
        await customer.post(f"projects/{pid}/build", body, f"modelid=one&algo={algo}")
    )
    assert told.status == 200, told.body
    info = (await customer.get(f"projects/{pid}/models/one")).values["modelInfo"]
    told = await customer.post(f"projects/{pid}/predict/one", ROWS)
    answers = told.values["KSVSMap"]["values"] if told.status == 200 else []
    return info, answers


def numbers(answers: Sequence[dict[str, str]], key: str, *rows: int) -> list[float]:
    return [float(answers[row][key]) for row in rows]


def correct(answers: Sequence[dict[str, str]]) -> list[int]:
    """Return how many rows of each species are told."""
    told = zip(map(_species, ROWS["data"]), answers, strict=True)
    right = [species for species, one in told if one["res"].lower() == species.lower()]
    return [right.count(species) for species in SPECIES]


def accuracy(answers: Sequence[dict[str, str]], species: str) -> float:
    """Return the share of rows of which it is rightly said whether they are of a species."""
    truth = [str(int(_species(row) == species)) for row in ROWS["data"]]
    said = [one["res"] for one in answers]
    return sum(a == b for a, b in zip(truth, said, strict=True)) / len(truth)


@pytest.mark.parametrize(("pid", "targets"), [(WHOLE, SPECIES), (BY_SPECIES, [])])
async def test_three_classes_are_told_by_linear_discriminants(
    learned: Customer, pid: str, targets: list[str]
) -> None:
    info, answers = await built(learned, "mlda", X4, targets, pid)
    classes = targets or PARTS
    assert info["scoreInfo"] == classes
    assert correct(answers) == [50, 48, 49]
    found = [float(answers[75][label]) for label in classes]
    expected = [21.2657706381, 73.5959541205, 66.1162011057]
    assert found == pytest.approx(expected, rel=1e-8)
    assert numbers(answers, "resZ", 75) == pytest.approx([max(expected)], rel=1e-8)


async def test_three_classes_are_told_by_quadratic_discriminants(learned: Customer) -> None:
    _, answers = await built(learned, "mqda", X4, [], BY_SPECIES)
    assert list(answers[0]) == ["res", *PARTS]
    assert correct(answers) == [50, 48, 49]
    found = [float(answers[75][label]) for label in PARTS]
    assert found == pytest.approx([-189.687091124, 1.45963198688, -5.34957805478], rel=1e-8)


async def test_naive_bayes_of_measurements_and_of_bins(learned: Customer) -> None:
    _, answers = await built(learned, "bayes", X4, SPECIES)
    assert correct(answers) == [50, 47, 47]
    info, answers = await built(learned, "bayes", X4, [VERSICOLOR])
    assert (info["predictInfo"], info["scoreInfo"]) == (["res", "Prob", "prob1"], ["prob1"])
    assert accuracy(answers, VERSICOLOR) == pytest.approx(0.926667, abs=1e-6)
    assert numbers(answers, "prob1", 75) == pytest.approx([0.987701308812], rel=1e-8)
    binned = [name for name in ROWS["attributeNames"] if name[-3:-1] == "_b"]
    assert len(binned) == 8
    _, answers = await built(learned, "bayes", binned, [VERSICOLOR])
    assert accuracy(answers, VERSICOLOR) == pytest.approx(0.633333, abs=1e-6)
    expected = [2.4010221579993e-05, 0.978850322055]
    assert numbers(answers, "prob1", 0, 75) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("species", "weights", "gamma", "right"),
    [
        (SETOSA, [0.0808974441341, 0.44104657483, -0.436333572444, -0.115146658638],
         0.372462306929, 1.0),
        (VERSICOLOR, [0.109379612312, -0.78243697176, 0.349669216278, -0.861657104522],
         -1.12811648892, 0.733333),
    ],
)  # fmt: skip
async def test_the_proximal_machine_divides_at_its_plane(
    learned: Customer, species: str, weights: list[float], gamma: float, right: float
) -> None:
    info, answers = await built(learned, "lsvm", X4, [species])
    assert float(info["info"]["svmGamma"]) == pytest.approx(gamma, rel=1e-8)
    assert accuracy(answers, species) == pytest.approx(right, abs=1e-6)
    row = [float(cell) for cell in ROWS["data"][0][:4]]
    expected = sum(w * x for w, x in zip(weights, row, strict=True)) - gamma
    assert numbers(answers, "resZ", 0) == pytest.approx([expected], rel=1e-8)


async def test_the_proximal_regression_answers_as_the_reference(learned: Customer) -> None:
    info, answers = await built(learned, "lsvr", X4[1:], X4[:1])
    assert float(info["info"]["svmGamma"]) == pytest.approx(-1.28065972679, rel=1e-8)
    assert numbers(answers, "res", 0) == pytest.approx([4.45358779119], rel=1e-8)


async def test_covariances_are_shrunk_and_inverted_as_in_the_reference(learned: Customer) -> None:
    tuned = {"estimate_type": "l2_reg_sig", "tuning_type": "oas"}
    info, answers = await built(learned, "covest", X4, [], **tuned)
    assert answers == []  # there is nothing that it could predict
    assert float(info["info"]["alpha"]) == pytest.approx(0.0156158336093, rel=1e-8)
    estimate = _columns(info["extra"]["cxx_est"])
    assert float(estimate[X4[0]][0]) == pytest.approx(0.688205331845, rel=1e-8)
    assert float(estimate[X4[2]][0]) == pytest.approx(1.24543409724, rel=1e-8)
    graph = {"estimate_type": "graph_lasso", "lambda": "0.1"}
    info, _ = await built(learned, "covest", X4, [], **graph)
    theta = _columns(info["extra"]["theta"])
    found = [[float(theta[name][row]) for name in X4] for row in range(4)]
    expected = [
        [4.130673978, 0, -1.556391756, 0],
        [0, 5.842455004, 0.414825325, 0],
        [-1.556391756, 0.414825325, 2.145066421, -3.139462538],
        [0, 0, -3.139462538, 8.173937166],
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-8)


def _columns(frame: dict[str, Any]) -> dict[str, list[str]]:
    return dict(zip(frame["attributeNames"], zip(*frame["data"], strict=True), strict=True))
