"""Every optional family is fitted with its library; a library that is missing is never silent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tally.forecast.base import Vector
from tally.forecast.families import FAMILIES


def need(name: str) -> None:
    """Skip with the line that installs what is missing, or fail where it must be there."""
    family = FAMILIES[name]
    if family.installed:
        return
    reason = f"{name} is not installed: pip install 'tally[{family.extra}]'"
    if os.environ.get("TALLY_REQUIRE_EXTRAS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def temperatures() -> Vector:
    """Ten years of daily temperatures, as shipped."""
    path = Path(__file__).parents[2] / "dataset_simple"
    return np.array(json.loads(path.read_text())["data"], dtype=np.float64)
