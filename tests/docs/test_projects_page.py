"""What README and the pages on projects, models and fusion show happens: commands, Python."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.examples import Reader, blocks, differs

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(600)  # each command of the page is a process

PAGES = ("README.md", "docs/projects.md", "docs/models.md", "docs/fusion.md")
SIGNING = ROOT / "docs" / "reference" / "signing.md"
SHOWN_URL = "http://127.0.0.1:5000"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Give somebody with a service of the page's own, and the files that it is about."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "iris.csv").write_bytes((ROOT / "tests/data/iris/Iris_rtlm.csv").read_bytes())
    clean = {name: text for name, text in os.environ.items() if not name.startswith("TALLY_")}
    env = {
        **clean,
        "PATH": f"{Path(sys.executable).parent}:{clean['PATH']}",
        "TALLY_URL": f"http://127.0.0.1:{port}",
        "COLUMNS": "200",
    }
    for name in os.environ.keys() - clean.keys():
        monkeypatch.delenv(name)
    up = subprocess.Popen(
        ["tally", "up", "--port", str(port)],
        cwd=tmp_path,
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert up.stderr is not None
    try:
        for line in up.stderr:
            if "Tally serves on" in line:
                break
        function = re.search(r"^symetry\(\).*?^\)$", SIGNING.read_text(), re.DOTALL | re.MULTILINE)
        assert function is not None
        yield Reader(tmp_path, env, function[0])
    finally:
        up.terminate()
        up.communicate(timeout=60)


@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_shows_is_what_happens(
    page: str,
    reader: Reader,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"http://127.0.0.1:{port}"
    failures = []
    for block in blocks((ROOT / page).read_text()):
        if block.kind == "python":
            for name, text in reader.exported().items():
                if name.startswith("TALLY_"):
                    monkeypatch.setenv(name, text)
            failures.append(reader.python(block))
            continue
        for command, shown in block.commands():
            printed = reader.shell(command.replace(SHOWN_URL, url)).replace(url, SHOWN_URL)
            if difference := differs(shown, printed):
                failures.append(f"line {block.line}, {command}\n{difference}")
    found = "\n".join(filter(None, failures))
    assert not found, found


def test_the_reader_sees_a_difference(tmp_path: Path) -> None:
    reader = Reader(tmp_path, {"PATH": os.environ["PATH"]})
    reader.shell("export WHAT=one; say() { echo $WHAT; }")
    assert differs("two\n", reader.shell("say"))
    assert not differs("o...e\n", reader.shell("say"))
    (block,) = blocks("```python\n>>> 1 + 1\n3\n```\n")
    assert "- 3" in reader.python(block)
