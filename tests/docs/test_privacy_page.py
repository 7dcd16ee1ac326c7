"""What docs/privacy.md says with numbers is what the code does."""

from __future__ import annotations

import doctest
from pathlib import Path

from tally.federation.privacy.minimum import fewest_rows
from tally.federation.privacy.patients import FEWEST_PATIENTS
from tally.federation.privacy.reason import Reason
from tally.federation.wire_form import CELL_ROWS

FILE = Path(__file__).parents[2] / "docs" / "privacy.md"
PAGE = FILE.read_text()


def test_the_example_runs() -> None:
    found = doctest.testfile(str(FILE), module_relative=False)
    assert (found.failed, found.attempted > 0) == (0, True)


def test_the_numbers_of_the_page_are_those_of_the_rules() -> None:
    assert f"at least {CELL_ROWS} rows each" in PAGE
    assert f"**{FEWEST_PATIENTS} patients**" in PAGE
    assert "at least d + 5" in PAGE
    assert fewest_rows(10) == 15
    assert "From 2d + 3 rows on" in PAGE
    assert fewest_rows(10, strict=True) == 23


def test_the_attacks_that_are_named_are_tests() -> None:
    assert (FILE.parents[1] / "tests" / "unit" / "federation" / "test_attacks.py").exists()
    assert len(Reason) == 7
