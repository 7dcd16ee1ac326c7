"""What docs/reference/contracts.md says is what contracts do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tally.engine.schema import Schema
from tally.engine.summary import Summary
from tally.federation.contracts import grammar
from tally.federation.contracts.checking import broken
from tally.federation.contracts.functions import FUNCTIONS
from tally.federation.contracts.validation import EMPTY, parse, validate
from tests.unit.federation.iris import summary

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "contracts.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str, *, columns: int) -> list[list[str]]:
    """Return the cells of tables of so many columns, without the head."""
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in cells] for cells in lines if len(cells) == columns][1:]


def test_every_function_is_told_with_its_arguments() -> None:
    told = {
        name: ["CB" if kind == "number" else "B" for kind in arguments.split(", ")]
        for functions, arguments, _ in rows(section("Functions"), columns=3)
        for name in re.findall(r"`(\w+)`", functions)
    }
    assert told == {name: list(function.arguments) for name, function in FUNCTIONS.items()}


@pytest.mark.parametrize(
    ("rule", "answer"),
    re.findall(r"^\| `(.*)` \| (true|false) \|$", section("Functions"), re.MULTILINE),
)
def test_the_examples_are_true_or_false_as_told(rule: str, answer: str) -> None:
    assert (broken(parse([rule]), summary()) == []) == (answer == "true")


def test_the_first_example_can_be_read() -> None:
    text = PAGE.split("```text\n")[1].split("```")[0]
    assert [line.number for line in parse([text])] == [2, 3, 5]


def test_the_texts_are_those_that_validation_gives() -> None:
    schema = Schema(("age", "x"), "CC", (None, None), (0, 0))
    wrong = (
        "COUNT(x) > five",
        "SIZE(x) > 1",
        "COVAR(x) > 1",
        "COUNT(colour) > 1",
        "COND_MEAN(x,age) > 1",
        "#" * 4097,
    )
    given = [validate(["\n" + rule], schema).status for rule in wrong] + [EMPTY]
    told = re.findall(r"^\| `(.*?)` \|", section("What is wrong with a contract"), re.MULTILINE)
    assert told == given
    warned = validate(["\nPCT_OF_TRUE(x,x) > 0.4"], schema).warnings[0]
    assert f"`{warned}`" in PAGE


@pytest.mark.parametrize(
    ("rule", "log"),
    re.findall(r"^\| `(.*)` \| `(Contract .*)` \|$", section("What is logged"), re.MULTILINE),
)
def test_the_log_is_as_told(rule: str, log: str) -> None:
    assert broken(parse([rule]), Summary.empty()) == [log]


def test_the_bounds_are_as_told() -> None:
    assert (
        f"{grammar.MAX_LINES} lines of {grammar.MAX_LINE_LENGTH} characters, and "
        f"{grammar.MAX_NESTING} parentheses"
    ) in PAGE
