from __future__ import annotations

from pathlib import Path

import pytest

from tally.clock import ManualClock
from tally.coordination.embedded import EmbeddedCoordinator
from tests.unit.model_api.federation.sites import Federations


@pytest.fixture
def federations(
    tmp_path: Path, clock: ManualClock, coordinator: EmbeddedCoordinator
) -> Federations:
    return Federations(tmp_path, clock, coordinator)
