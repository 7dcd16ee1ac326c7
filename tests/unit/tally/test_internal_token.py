from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from tally.errors import ConfigurationError
from tally.internal_token import authorized, internal_token
from tally.settings import Settings


def test_a_token_of_the_settings_is_taken_and_no_file_made(tmp_path: Path) -> None:
    assert internal_token(Settings(data_dir=tmp_path, internal_token=SecretStr("t"))) == "t"
    assert not list(tmp_path.iterdir())


def test_all_processes_that_start_at_once_get_the_same_token(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    with ThreadPoolExecutor(16) as pool:
        tokens = set(pool.map(internal_token, [settings] * 64))
    assert len(tokens) == 1
    assert len(tokens.pop()) >= 32
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["internal-token"]


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    internal_token(Settings(data_dir=tmp_path))
    assert stat.S_IMODE((tmp_path / "internal-token").stat().st_mode) == 0o600


def test_a_file_of_the_users_own_is_read_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("secret\n")
    assert internal_token(Settings(internal_token_file=tmp_path / "mine")) == "secret"


def test_an_empty_file_is_no_token(tmp_path: Path) -> None:
    (tmp_path / "internal-token").write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty; delete it"):
        internal_token(Settings(data_dir=tmp_path))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="internal token file"):
        internal_token(Settings(data_dir=tmp_path / "file"))


@pytest.mark.parametrize(
    "header", ["", "t", "Bearer", "Bearer ", "Bearer T", "Bearer tt", "Bearer ü"]
)
def test_only_the_token_itself_is_let_in(header: str) -> None:
    assert authorized("Bearer t", "t")
    assert not authorized(header.removeprefix("t") or None, "t")
