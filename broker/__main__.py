"""`python -m broker` is a broker; its settings come from the environment."""

from __future__ import annotations

import sys

from broker.settings import BrokerSettings
from broker.wiring import Broker
from tally.errors import TallyError
from tally.logs import configure
from tally.processes import run, run_until_stopped


def main() -> int:
    """Run until stopped; return the exit code."""
    settings = BrokerSettings()
    configure(settings.log_level, "broker")
    try:
        run(run_until_stopped([Broker(settings).run]), spawns=False)
    except TallyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
