"""What a result depends on: the machine, the versions, the commit; and the same threads for all."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PACKAGES = (
    "numpy",
    "scikit-learn",
    "statsmodels",
    "aiohttp",
    "uvicorn",
    "uvloop",
    "httptools",
    "msgspec",
)
# They choose BLAS kernels and block sizes by hand; a result would tell of them, not of us.
_TUNING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def settle_environment() -> None:
    """Make all processes use one numerical thread and log little; before numpy is imported."""
    for name in (*_TUNING, *(name for name in os.environ if name.startswith("TALLY_"))):
        os.environ.pop(name, None)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TALLY_LOG_LEVEL"] = "warning"


def machine() -> dict[str, object]:
    """Return what to record with every result."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "haproxy": _first_line("haproxy", "-v"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def commit() -> str:
    """Return the commit measured, marked `+changes` where the tree differs from it."""
    known = _first_line("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
    ours = ("broker", "model_api", "tally", "benchmarks/*.py")
    changed = _first_line("git", "-C", str(ROOT), "status", "--porcelain", "--", *ours)
    return f"{known}+changes" if changed else known


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except OSError:
        return ""
    return next(iter(done.stdout.splitlines()), "")
