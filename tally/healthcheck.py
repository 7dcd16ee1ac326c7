"""The images' health check: `python -m tally.healthcheck http PORT`, or `... fit-worker`.

Exits 0 if the process in this container is well, else 1 after a sentence. It is Python because
the images hold no curl, and needs no secret, so that it says the same to everybody.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import socket
import sys

TIMEOUT_S = 3.0


def http_alive(port: int, host: str = "127.0.0.1") -> str:
    """Return why `/health` on this machine does not answer 200, empty if it does."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{host}:{port} does not answer: {error!r}"
    finally:
        connection.close()
    return "" if status == 200 else f"{host}:{port} answers {status}"


async def fit_worker_alive(host: str) -> str:
    """Return why no fit worker of `host` holds a lease, empty if one does.

    It has no port to ask. Its key in the coordinator vanishes when it stops renewing its lease,
    which is also how everybody else learns of its end. While the coordinator is out of reach
    nothing can be said about it, and fits go on, so that counts as well.
    """
    # Not at the top: gRPC takes longer to load than the other check to answer.
    from tally import backends
    from tally.errors import CoordinationUnavailable
    from tally.settings import Settings
    from tally.wire.messages import FITTERS

    coordinator = backends.coordinator(Settings())
    try:
        found = await coordinator.list(f"{FITTERS}{host}_")
    except CoordinationUnavailable:
        return ""
    finally:
        await coordinator.close()
    return "" if found.items else f"no fit worker of {host} is registered"


def main() -> int:
    """Check, and return the exit code."""
    parser = argparse.ArgumentParser(prog="tally.healthcheck", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("http", help="a broker or a worker").add_argument("port", type=int)
    kinds.add_parser("fit-worker", help="a fit worker")
    given = parser.parse_args()
    if given.kind == "http":
        wrong = http_alive(given.port)
    else:
        wrong = asyncio.run(fit_worker_alive(socket.gethostname()))
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
