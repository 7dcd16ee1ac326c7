from __future__ import annotations

from pathlib import Path

import pytest

from tally.errors import ConfigurationError
from tally.options import Options

KEY = "sml.fusion.prefetch.min.time.ms"


def written(folder: Path, text: str) -> Path:
    path = folder / "rtlm.properties"
    path.write_text(text)
    return path


def test_a_key_is_known_with_its_prefix_and_without(tmp_path: Path) -> None:
    text = f"# comment\n! another\n\nrtlm.option.{KEY} = 3000 \nsml.fusion.max.depth=2\n"
    options = Options.read(written(tmp_path, text), {})
    assert options.number(KEY, 15_000, low=0, high=10**6) == 3000
    assert options.number("sml.fusion.max.depth", 8, low=1, high=64) == 2


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = {"RTLM_OPTION_SML_FUSION_PREFETCH_MIN_TIME_MS": "7"}
    options = Options.read(written(tmp_path, f"{KEY}=3000"), environ)
    assert options.number(KEY, 15_000, low=0, high=10**6) == 7


@pytest.mark.parametrize("value", ["-1", "1.5", "many", "1000001", "\u0663"])
def test_a_value_that_cannot_be_used_ends_the_start(value: str) -> None:
    with pytest.raises(ConfigurationError, match=KEY):
        Options({KEY: value}).number(KEY, 15_000, low=0, high=10**6)
    with pytest.raises(ConfigurationError, match=KEY):
        Options({KEY: value}).flag(KEY, default=False)


def test_a_line_that_is_no_pair_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="line 2"):
        Options.read(written(tmp_path, "a=1\nnothing\n"), {})


def test_a_file_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        Options.read(tmp_path / "nothing", {})
