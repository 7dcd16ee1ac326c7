"""FedAvg of Flower on linear least squares; runs in Flower's environment, without Tally.

Standard input is JSON: `sites`, each `x` (n, d) and `y` (n,), `steps` of a site in a round, several
to try, `rounds`, and `pooled`, the coefficients to compare with (d,). Standard output is JSON:
`bytes` both ways of all sites in one round, `seconds` of one, `version`, and `runs`, one for each
of `steps`: `errors` after each round, relative to the norm of `pooled`, `loss`, the squared error
of all rows at the end as a multiple of that of `pooled`, and the `rate`.

Flower's server is in this process and each client in one of its own, with gRPC on loopback between
them, for as many rounds as it takes to measure one; bytes are those of TCP, as a forwarder counts
them in runs of their own. The long runs are the same arithmetic without Flower, which has to give
what Flower gave. Sites take steps on all their rows, so there is no noise of sampling (McMahan et
al. 2017, with B = infinity). Of several learning rates the one that ends best is told, which nobody
could choose without the pooled rows. Momentum, decay and other schedules are not tried.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import socket
import sys
import threading
import time
from contextlib import suppress
from itertools import pairwise
from typing import Any

import flwr
import numpy as np
from flwr.client import NumPyClient, start_client
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import ServerConfig, start_server
from flwr.server.strategy import FedAvg

_RATES = (1.9, 1.0, 0.5)  # over the largest curvature of all rows; 2 diverges
_TIMED, _COUNTED = 100, 20  # rounds of Flower's own
_END_S = 30


def main() -> None:
    logging.getLogger("flwr").setLevel(logging.ERROR)
    asked = json.load(sys.stdin)
    sites = [(np.array(site["x"]), np.array(site["y"])) for site in asked["sites"]]
    pooled = np.array(asked["pooled"])
    x = np.concatenate([site[0] for site in sites])
    y = np.concatenate([site[1] for site in sites])
    largest = float(np.linalg.eigvalsh(x.T @ x / len(x))[-1])
    told: dict[str, Any] = {"version": flwr.__version__, "runs": []}
    for steps in asked["steps"]:
        tried = [
            (rate, _averaged(sites, steps, asked["rounds"], rate / largest)) for rate in _RATES
        ]
        rate, path = min(tried, key=lambda each: _distance(each[1][-1], pooled))
        loss = float(np.sum((x @ path[-1] - y) ** 2) / np.sum((x @ pooled - y) ** 2))
        errors = [_distance(w, pooled) for w in path]
        told["runs"].append({"steps": steps, "rate": rate, "errors": errors, "loss": loss})
    steps, step = told["runs"][0]["steps"], told["runs"][0]["rate"] / largest
    flowers, told["seconds"] = _federated(sites, steps, _TIMED, step)
    np.testing.assert_allclose(flowers, _averaged(sites, steps, _TIMED, step), atol=1e-12)
    one, more = (_moved(sites, steps, rounds, step) for rounds in (1, 1 + _COUNTED))
    told["bytes"] = round((more - one) / _COUNTED)  # the first has handshakes as well
    json.dump(told, sys.stdout)


class _Client(NumPyClient):  # type: ignore[misc]  # types are checked without Flower
    """A site that takes steps of gradient descent on its rows."""

    def __init__(self, x: Any, y: Any, steps: int, step: float) -> None:
        self._site = (x, y, steps, step)

    def fit(self, parameters: Any, config: Any) -> Any:
        return [_descended(parameters[0], *self._site)], len(self._site[1]), {}


class _Told(FedAvg):  # type: ignore[misc]
    """FedAvg that keeps what it averages, and when."""

    def __init__(self, sites: int, d: int) -> None:
        super().__init__(
            fraction_evaluate=0.0,
            min_fit_clients=sites,
            min_available_clients=sites,
            initial_parameters=ndarrays_to_parameters([np.zeros(d)]),
        )
        self.path: list[Any] = []
        self.moments: list[float] = []

    def aggregate_fit(self, server_round: int, results: Any, failures: Any) -> Any:
        if failures:
            raise RuntimeError(f"clients failed: {failures}")
        parameters, told = super().aggregate_fit(server_round, results, failures)
        self.path.append(parameters_to_ndarrays(parameters)[0])
        self.moments.append(time.perf_counter())
        return parameters, told


def _federated(
    sites: Any, steps: int, rounds: int, step: float, ports: tuple[int, int] | None = None
) -> tuple[list[Any], float]:
    """Return the coefficients after each round, and the median seconds of one.

    Args:
        sites, steps, rounds, step: see above; the step is that of the descent.
        ports: of the server, and at which clients reach it; None: the same, any.
    """
    server, reached = ports or (_free_port(),) * 2
    strategy = _Told(len(sites), sites[0][0].shape[1])
    spawned = multiprocessing.get_context("spawn")
    clients = [spawned.Process(target=_client, args=(reached, x, y, steps, step)) for x, y in sites]
    for client in clients:
        client.start()
    start_server(
        server_address=f"127.0.0.1:{server}", config=ServerConfig(rounds), strategy=strategy
    )
    for client in clients:
        client.join(_END_S)
    took = [after - before for before, after in pairwise(strategy.moments)]
    return strategy.path, float(np.median(took)) if took else math.nan


def _moved(sites: Any, steps: int, rounds: int, step: float) -> int:
    """Return the bytes that went over TCP, both ways and with all sites."""
    moved: list[int] = []
    server = _free_port()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        door = threading.Thread(target=_forward, args=(listening, server, moved), daemon=True)
        door.start()
        _federated(sites, steps, rounds, step, (server, listening.getsockname()[1]))
    return sum(moved)


def _forward(listening: socket.socket, server: int, moved: list[int]) -> None:
    with suppress(OSError):  # closed at the end
        while True:
            one, _ = listening.accept()
            try:
                other = socket.create_connection(("127.0.0.1", server))
            except ConnectionRefusedError:  # not up yet; clients try again
                one.close()
                continue
            for way in ((one, other), (other, one)):
                threading.Thread(target=_pump, args=(*way, moved), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, moved: list[int]) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
            moved.append(len(data))
        sink.shutdown(socket.SHUT_WR)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _client(port: int, x: Any, y: Any, steps: int, step: float) -> None:
    logging.getLogger("flwr").setLevel(logging.ERROR)
    start_client(
        server_address=f"127.0.0.1:{port}",
        client=_Client(x, y, steps, step).to_client(),
        insecure=True,
    )


def _descended(w: Any, x: Any, y: Any, steps: int, step: float) -> Any:
    for _ in range(steps):
        w = w - step * (x.T @ (x @ w - y)) / len(y)
    return w


def _averaged(sites: Any, steps: int, rounds: int, step: float) -> list[Any]:
    """Return the coefficients after each round of FedAvg, without Flower."""
    w, rows = np.zeros(sites[0][0].shape[1]), sum(len(y) for _, y in sites)
    path = []
    with np.errstate(over="ignore", invalid="ignore"):  # it may diverge
        for _ in range(rounds):
            w = sum(len(y) / rows * _descended(w, x, y, steps, step) for x, y in sites)
            path.append(w)
    return path


def _distance(w: Any, pooled: Any) -> float:
    error = float(np.linalg.norm(w - pooled) / np.linalg.norm(pooled))
    return error if error < 1e6 else 1e6


if __name__ == "__main__":
    main()
