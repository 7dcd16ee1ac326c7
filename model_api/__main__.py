"""`python -m model_api --role serve` is a forecast worker, `--role fit` a fit worker."""

from __future__ import annotations

import argparse
import sys

from model_api.settings import WorkerSettings
from model_api.wiring import FitWorker, Worker
from tally.errors import TallyError
from tally.logs import configure
from tally.processes import run, run_until_stopped


def main() -> int:
    """Run until stopped; return the exit code."""
    parser = argparse.ArgumentParser(prog="model_api", description=__doc__)
    parser.add_argument("--role", choices=("serve", "fit"), default="serve")
    role = parser.parse_args().role
    settings = WorkerSettings()
    configure(settings.log_level, "worker" if role == "serve" else "fit-worker")
    service = Worker(settings).run if role == "serve" else FitWorker(settings).run
    try:
        run(run_until_stopped([service]), spawns=role == "fit")
    except TallyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
