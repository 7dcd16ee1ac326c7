from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PAGE_FAULTS = """
import resource
from tally.memory import keep_freed_memory

assert keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bodies = [b"x" * 6_000_000 for _ in range(8)]
    del bodies
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_bodies_take_the_memory_of_those_before_them() -> None:
    # A process of its own: what is set stays set.
    line = [sys.executable, "-c", _PAGE_FAULTS]
    told = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)

    assert int(told.stdout) < 100  # of the 12 000 pages that eight bodies are
