"""Runs what a documentation page shows, and compares what it shows of the output.

Run are blocks of two kinds, in their order on the page:

* `console`: a line that starts with `$ ` is a command, whatever follows it its output. What a
  command exports, and the functions that it defines, the next one finds.
* `python`: as doctest has it. All blocks of a page share their names.

`...` in an output stands for anything, also for several lines.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
IRIS = ROOT / "tests" / "data" / "iris" / "Iris_rtlm.csv"
_SIGNING = ROOT / "docs" / "reference" / "signing.md"

_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FLAGS = doctest.ELLIPSIS | doctest.REPORT_NDIFF
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a page that is run."""

    kind: str
    text: str
    line: int

    def commands(self) -> list[tuple[str, str]]:
        """Return the commands of a `console` block, each with the output that is shown."""
        _, *parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)
        pairs = (part.partition("\n") for part in parts)
        return [(command, output) for command, _, output in pairs]


def blocks(page: str) -> list[Block]:
    """Return what a page has to run."""
    return [
        Block(found[1], found[2], page.count("\n", 0, found.start()) + 2)
        for found in _BLOCK.finditer(page)
    ]


@dataclass
class Reader:
    """Somebody who does what a page says.

    Attributes:
        folder: where commands run.
        env: of the first command.
        prelude: shell functions that the page takes for granted.
        names: of the Python blocks.
    """

    folder: Path
    env: Mapping[str, str]
    prelude: str = ""
    names: dict[str, object] = field(default_factory=dict)

    def shell(self, command: str) -> str:
        """Return what a command prints, its errors included."""
        state = self.folder / ".state.sh"
        if not state.exists():
            state.write_text(self.prelude)
        kept = f"{{ export -p; declare -f; }} > {shlex.quote(str(state))}"
        done = subprocess.run(
            ["bash", "-c", f". {shlex.quote(str(state))}\n{command}\n{kept}"],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        return done.stdout

    def exported(self) -> dict[str, str]:
        """Return what the commands so far have exported."""
        told = self.shell("env -0")
        return dict(entry.split("=", 1) for entry in told.split("\0") if "=" in entry)

    def python(self, block: Block) -> str:
        """Run a block; return what differs, or nothing."""
        parser = doctest.DocTestParser()
        test = parser.get_doctest(block.text, self.names, "the page", None, block.line)
        runner = doctest.DocTestRunner(optionflags=_FLAGS, verbose=False)
        out = io.StringIO()
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            runner.run(test, out=out.write, clear_globs=False)
        finally:
            os.chdir(before)
        self.names.update(test.globs)
        return out.getvalue()


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of ours, and with the command `tally`."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("TALLY_")}
    return {**clean, "PATH": f"{Path(sys.executable).parent}:{clean['PATH']}", "COLUMNS": "200"}


def symetry() -> str:
    """Return the shell function that signs requests."""
    found = re.search(r"^symetry\(\).*?^\)$", _SIGNING.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[0]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def served(folder: Path, env: Mapping[str, str], port: int, *options: str) -> Iterator[None]:
    """Run `tally up`, which serves once this is entered."""
    up = subprocess.Popen(
        ["tally", "up", "--port", str(port), *options],
        cwd=folder,
        env=env,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert up.stderr is not None
    try:
        for line in up.stderr:
            if "Tally serves on" in line:
                break
        yield
    finally:
        up.terminate()
        up.communicate(timeout=60)


def differs(shown: str, printed: str) -> str:
    """Return how an output differs from what a page shows of it; nothing where it does not."""
    checker = doctest.OutputChecker()
    tidy = "\n".join(line.rstrip() for line in printed.splitlines())
    printed = f"{tidy}\n" if tidy else ""
    if checker.check_output(shown, printed, _FLAGS):
        return ""
    return checker.output_difference(doctest.Example("", shown), printed, _FLAGS)
