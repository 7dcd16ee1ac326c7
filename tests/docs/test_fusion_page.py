"""What docs/reference/fusion.md says is what the code does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import msgspec

from tally.codec.contribution import decode, encode
from tally.fusion.cells import CellState
from tally.wire import cell_blob, cell_statistics
from tally.wire.cell_blob import seal
from tally.wire.fusion import MAX_CELLS, FusionCellInfo, FusionCellStatus
from tally.wire.secret_key import SecretKey
from tests.golden.write_contributions import contribution

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "fusion.md").read_text()
CODE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
IMPORTS = """
import base64, zlib
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
"""


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_function_of_the_page_opens_a_blob(tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text(IMPORTS + CODE[0])
    page = runpy.run_path(str(tmp_path / "page.py"))
    key, given = SecretKey.generate(), contribution("cell")
    assert decode(page["opened"](key.raw, seal(key, encode(given)))).rows == given.rows


def test_the_page_names_every_state_in_its_order() -> None:
    told = re.findall(r"`([A-Z_]+)`", section("States of a cell"))
    assert told == list(CellState)


def test_the_page_names_every_member() -> None:
    told = set(re.findall(r"`(\w+)`", section("States of a cell")))
    for kind in (FusionCellInfo, FusionCellStatus):
        assert told >= {field.encode_name for field in msgspec.structs.fields(kind)}
    inside = set(re.findall(r"`(\w+)`", section("The bytes inside")))
    assert inside >= set(cell_statistics.CellHead.__struct_fields__)
    assert cell_statistics.MAGIC.decode() in inside


def test_the_page_names_the_limits() -> None:
    assert f"at most {cell_statistics.MAX_LEAVES:,} entries" in PAGE
    assert f"at most {cell_statistics.MAX_HEAD_BYTES >> 20} MiB" in PAGE
    assert f"{cell_blob.DEFAULT_MAX_BYTES >> 20} MiB unless it is set" in PAGE
    assert f"At most {MAX_CELLS} cells" in PAGE
