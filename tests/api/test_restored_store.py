"""What an operator does who restores `store.db` from a backup and starts the service again."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from tests.api.conftest import SEASON, Service
from tests.unit.ledger.acts import back_up


def forecast(service: Service) -> tuple[int, list[float]]:
    with urllib.request.urlopen(f"{service.url}/api/forecast/4", timeout=60) as answer:
        return int(answer.headers["X-Model-Version"]), json.load(answer)["data"]


def fitted(service: Service, level: float) -> tuple[int, list[float]]:
    service.fit("/api/fit_model", [level + value for value in SEASON] * 10)
    return forecast(service)


def test_what_the_backup_holds_is_served_and_numbers_go_on_after_those_that_were_lost(
    tmp_path: Path,
) -> None:
    with Service(tmp_path) as service:
        kept = fitted(service, 0.0)
        backup = back_up(tmp_path / "store.db", tmp_path / "backup.db")
        lost = [fitted(service, 100.0 * number) for number in (1, 2)]
    assert [version for version, _ in (kept, *lost)] == [1, 2, 3]
    for each in tmp_path.glob("store.db*"):
        each.unlink()
    backup.rename(tmp_path / "store.db")
    with Service(tmp_path) as service:
        assert forecast(service) == kept
        version, values = fitted(service, 1000.0)
        assert version == 4
        assert min(values) > 900
