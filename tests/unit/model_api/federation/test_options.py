"""The options that docs/federation.md lists are those that are read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from model_api.federation.options import FederationOptions
from model_api.fusion.limits import FusionLimits
from tally.federation.state import Settings, created
from tally.networks import Networks
from tally.options import Options

PAGE = Path(__file__).parents[4] / "docs" / "federation.md"
ROWS: list[tuple[str, str]] = re.findall(
    r"^\| `([\w.]+)` \| (\d+) \|", PAGE.read_text().split("\n## Options\n")[1], re.MULTILINE
)
OTHER = {"sml.fed.contract.pct.scale": "1"}
"""Values that no default is next to."""


def read(**given: str) -> tuple[FederationOptions, bool]:
    options = Options(given)
    return FederationOptions.of(options), FusionLimits.of(options, 1, Networks()).trust_all


def test_the_page_lists_options() -> None:
    assert len(ROWS) >= len(FederationOptions.__dataclass_fields__)


@pytest.mark.parametrize(("key", "default"), ROWS)
def test_an_option_of_the_page_is_read_and_has_that_default(key: str, default: str) -> None:
    assert read(**{key: default}) == read()
    other = OTHER.get(key) or ("0" if default == "1" else str(int(default) + 1))
    assert read(**{key: other}) != read()


def test_a_peer_that_was_made_before_holds_to_the_options_of_now() -> None:
    settings = Settings(
        uuid="u",
        name="n",
        federation="f",
        admin="u",
        admin_public="p",
        grace_ms=1,
        expire_periods=2,
    )
    made = created(settings, sync_sched="m1", now_ms=0)
    now = FederationOptions(grace_ms=3, expire_periods=4).held_by(made).settings
    assert (now.grace_ms, now.expire_periods, now.name) == (3, 4, "n")
