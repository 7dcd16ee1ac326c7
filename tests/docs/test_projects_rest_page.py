"""What docs/reference/projects-rest.md shows is what a shell shows."""

from __future__ import annotations

from pathlib import Path

from tests.docs.examples import Reader, blocks, differs
from tests.docs.test_projects_page import SHOWN_URL, port, reader

__all__ = ["port", "reader"]  # fixtures

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "projects-rest.md"


def run(reader: Reader, port: int) -> list[tuple[str, str, str]]:
    """Return the page's commands, each with what is shown and what it printed."""
    url = f"http://127.0.0.1:{port}"
    return [
        (command, shown, reader.shell(command.replace(SHOWN_URL, url)).replace(url, SHOWN_URL))
        for block in blocks(PAGE.read_text())
        for command, shown in block.commands()
    ]


def test_what_the_page_shows_is_what_happens(reader: Reader, port: int) -> None:
    done = run(reader, port)
    assert len(done) > 10
    for command, shown, printed in done:
        assert not differs(shown, printed), command
