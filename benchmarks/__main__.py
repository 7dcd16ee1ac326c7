"""Measure everything, print the ratios, and write them to `benchmarks/results`."""

from __future__ import annotations

import argparse
import asyncio
import signal
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from benchmarks.machine import commit, machine, settle_environment

_BENCHES = (
    "forecast",
    "publication",
    "fit",
    "engine",
    "decode",
    "explore",
    "learn",
    "cells",
    "models",
    "select",
    "federation",
    "fedavg",
    "fusion",
)
_RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"of {', '.join(_BENCHES)}")
    parser.add_argument("--quick", action="store_true", help="few repeats; nothing is written")
    options = parser.parse_args()
    if unknown := sorted(set(options.only) - set(_BENCHES)):
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(_BENCHES)}")
    settle_environment()
    # As Ctrl-C does it: the servers that were started are stopped on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Late: numpy reads the environment when it is imported.
    import msgspec

    date = datetime.now(UTC)
    about = {"commit": commit(), "date": date.isoformat(timespec="seconds"), "machine": machine()}
    rows = []
    for name in options.only or _BENCHES:
        bench = import_module(f"benchmarks.bench_{name}")
        for row in asyncio.run(bench.measure(quick=options.quick)):
            print(row, flush=True)
            rows.append(row)
    if options.quick:
        return
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{date:%Y-%m-%dT%H%M}-{'-'.join(options.only) or 'all'}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode({**about, "rows": rows})) + b"\n")
    print(f"written to {path.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
