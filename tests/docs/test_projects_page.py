"""What README and the pages on projects, models and fusion show happens: commands, Python."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.examples import (
    IRIS,
    ROOT,
    Reader,
    blocks,
    clean_environment,
    differs,
    free_port,
    served,
    symetry,
)

pytestmark = pytest.mark.timeout(600)  # each command of the page is a process

PAGES = ("README.md", "docs/projects.md", "docs/models.md", "docs/fusion.md")
SHOWN_URL = "http://127.0.0.1:5000"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def reader(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Give somebody with a service of the page's own, and the files that it is about."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    shutil.copy(IRIS, tmp_path / "iris.csv")
    for name in [name for name in os.environ if name.startswith("TALLY_")]:
        monkeypatch.delenv(name)
    env = {**clean_environment(), "TALLY_URL": f"http://127.0.0.1:{port}"}
    with served(tmp_path, env, port):
        yield Reader(tmp_path, env, symetry())


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
