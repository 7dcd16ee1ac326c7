"""Writes the golden contributions that are missing: what one cell gives, and what two do.

Run `python -m tests.golden.write_contributions`. A file that exists is never written again; a new
format of the bytes adds files of its own.
"""

from __future__ import annotations

from pathlib import Path

from tally.codec.contribution import encode
from tally.fusion.merging import merge
from tally.fusion.sources import Contribution
from tally.wire.cell_statistics import VERSION
from tests.golden.write_projects import project

HERE = Path(__file__).parent

CASES = ("cell", "merged")


def contribution(case: str) -> Contribution:
    """Return the contribution that a golden file holds."""
    cell = Contribution.of("a" * 32, "1790000000000-1099511627777", project("plain"))
    if case == "cell":
        return cell
    merged = merge([Contribution.of("b" * 32, "1790000000000-7", project("embedded")), cell])
    return Contribution("f" * 32, "1790000000001-2", merged.project, merged.provenance)


def main() -> None:
    """Write what is missing."""
    for case in CASES:
        path = HERE / f"{case}.v{VERSION}.contribution"
        if not path.exists():
            path.write_bytes(encode(contribution(case)))


if __name__ == "__main__":
    main()
