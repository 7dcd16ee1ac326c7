from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tally.errors import ConfigurationError, CorruptState
from tally.master_key import MasterKey, Sealed, master_key
from tally.settings import Settings

RAW = bytes(range(32))
TEXT = base64.b64encode(RAW).decode()
OURS = MasterKey(RAW)
ANOTHER = MasterKey(bytes(32))
SEALED = OURS.seal(b"secret", "user key", "ann")


def settings(folder: Path, key: str = "", file: Path | None = None, store: str = "") -> Settings:
    return Settings(
        data_dir=folder, master_key=SecretStr(key), master_key_file=file, store_url=store
    )


def test_what_was_sealed_is_opened_for_the_same_purpose_and_owner_only() -> None:
    assert OURS.open(SEALED, "user key", "ann") == b"secret"
    for purpose, owner in (("user key", "bob"), ("cell key", "ann"), ("user", "key\nann")):
        with pytest.raises(CorruptState, match=f"the {purpose} of {owner!r}".replace("\\", "\\\\")):
            OURS.open(SEALED, purpose, owner)


def test_a_secret_is_sealed_differently_each_time_and_never_in_the_clear() -> None:
    assert OURS.seal(b"secret", "user key", "ann").box != SEALED.box
    assert b"secret" not in SEALED.box


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 11, 12, 20])
def test_a_box_that_was_cut_is_refused(cut: int) -> None:
    with pytest.raises(CorruptState):
        OURS.open(Sealed(OURS.id, SEALED.box[:cut]), "user key", "ann")


def test_a_box_with_any_bit_changed_is_refused() -> None:
    for place in range(len(SEALED.box)):
        changed = bytearray(SEALED.box)
        changed[place] ^= 1
        with pytest.raises(CorruptState):
            OURS.open(Sealed(OURS.id, bytes(changed)), "user key", "ann")


def test_another_master_key_is_told_with_the_remedy_and_no_key() -> None:
    with pytest.raises(ConfigurationError, match="TALLY_MASTER_KEY_FILE") as caught:
        ANOTHER.open(SEALED, "user key", "ann")
    assert TEXT not in str(caught.value)


def test_a_master_key_shows_itself_nowhere() -> None:
    assert repr(OURS) == "MasterKey(hidden)" == f"{OURS}"
    with pytest.raises(TypeError, match="not pickled"):
        OURS.__reduce_ex__(2)
    assert SecretStr(TEXT).get_secret_value() not in repr(settings(Path(), TEXT))


def test_a_key_of_the_settings_is_taken_and_no_file_made(tmp_path: Path) -> None:
    assert master_key(settings(tmp_path, TEXT)).id == OURS.id
    assert not list(tmp_path.iterdir())


def test_a_file_of_the_users_own_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text(f"{TEXT}\n")
    shared = "cql://localhost/tally"
    assert master_key(settings(tmp_path, file=tmp_path / "mine", store=shared)).id == OURS.id


def test_a_file_that_is_named_is_made_if_it_is_missing_also_for_a_shared_store(
    tmp_path: Path,
) -> None:
    named = settings(tmp_path, file=tmp_path / "keys" / "mine", store="cql://localhost/tally")
    assert master_key(named).id == master_key(named).id
    assert [path.name for path in tmp_path.rglob("*")] == ["keys", "mine"]


def test_all_processes_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    with capture_logs() as logs, ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(master_key, [settings(tmp_path / "new")] * 64))
    assert len({key.id for key in keys}) == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["master.key"]
    assert len([line for line in logs if line["log_level"] == "warning"]) == 1


def test_a_new_key_is_for_its_owner_only_and_one_line_says_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with capture_logs() as logs:
        made = master_key(settings(tmp_path))
        assert master_key(settings(tmp_path)).id == made.id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (line,) = logs
    assert line["path"] == str(path)
    assert "back this file up" in line["event"]
    assert path.read_text().strip() not in str(line)


def test_machines_that_share_a_store_do_not_make_keys_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="TALLY_MASTER_KEY or TALLY_MASTER_KEY_FILE"):
        master_key(settings(tmp_path, store="cql://localhost/tally"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["x", TEXT[:-1], TEXT + TEXT, base64.b64encode(bytes(16)).decode(), "ü" * 44, "\ud800"]
)
def test_a_text_that_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match="TALLY_MASTER_KEY is not the base64 of 32") as c:
        MasterKey.parse(text, "TALLY_MASTER_KEY")
    assert text not in str(c.value).removeprefix("TALLY_MASTER_KEY") or len(text) == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"no key"])
def test_a_file_that_holds_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "master.key").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"master key file .*master.key is not"):
        master_key(settings(tmp_path))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="master key file"):
        master_key(settings(tmp_path / "file"))
